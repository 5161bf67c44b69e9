/** The value below which `share` of all are. */
export function quantile (values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  return below + (sorted[Math.ceil(position)] - below) * (position % 1)
}

export function median (values) {
  return quantile(values, 0.5)
}
