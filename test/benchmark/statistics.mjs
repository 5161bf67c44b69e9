/** The value below which `share` of all are. */
export function quantile (values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  return below + (sorted[Math.ceil(position)] - below) * (position % 1)
}

/**
 * The interval in which the median of what the values are drawn from lies with at least this confidence, by the order
 * of the values alone (binomial: no assumption of their distribution). Fewer than five values are too few.
 */
export function intervalOfMedian (values, confidence) {
  const sorted = values.toSorted((a, b) => a - b)
  const { length } = sorted
  let outside = 0
  let term = 2 ** -length
  let rank = 0
  for (;;) {
    outside += 2 * term
    if (outside > 1 - confidence) break
    term *= (length - rank) / (rank + 1)
    rank++
  }
  return rank === 0 ? null : [sorted[rank - 1], sorted[length - rank]]
}

export function median (values) {
  return quantile(values, 0.5)
}
