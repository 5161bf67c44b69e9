/**
 * The last byte of each event's data, and of nothing else that a contestant sends: to count it is to count events,
 * however they were cut and joined on their way.
 */
export const MARKER = '~'

export function textOf (size) {
  return 'x'.repeat(size - MARKER.length) + MARKER
}

/** A source that can wait. */
export async function * createTokens (count, toMessage = (data) => ({ data })) {
  for (let i = 0; i < count; i++) yield toMessage(`tok${MARKER}`)
}
