/** Before every entry of a Redis stream. */
export const BEFORE_ALL = '0-0'

const STREAM_ID = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/

const MAX = '18446744073709551615'

/** Whether it can be the id of an entry of a Redis stream: two numbers of 64 bits, as Redis writes them. */
export function isStreamId (id: string): boolean {
  const [, time, sequence] = STREAM_ID.exec(id) ?? []
  return time !== undefined && sequence !== undefined && compareNumbers(time, MAX) <= 0 &&
    compareNumbers(sequence, MAX) <= 0
}

/** Below 0 where `a` comes before `b`, above 0 where it comes after. */
export function compareStreamIds (a: string, b: string): number {
  const [timeA = '', sequenceA = ''] = a.split('-')
  const [timeB = '', sequenceB = ''] = b.split('-')
  return compareNumbers(timeA, timeB) || compareNumbers(sequenceA, sequenceB)
}

/** Whole numbers of any length, without leading zeros. */
function compareNumbers (a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
