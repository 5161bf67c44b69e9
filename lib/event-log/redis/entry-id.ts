/** The id that comes before every entry of a Redis stream. */
export const BEFORE_ALL = '0-0'

const STREAM_ID = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/

/** The greatest number in a stream id, 2^64 − 1. */
const MAX = '18446744073709551615'

/** Whether a text can be the id of an entry of a Redis stream: two numbers of 64 bits, written as Redis writes them. */
export function isStreamId (id: string): boolean {
  const [, time, sequence] = STREAM_ID.exec(id) ?? []
  return time !== undefined && sequence !== undefined && compareNumbers(time, MAX) <= 0 &&
    compareNumbers(sequence, MAX) <= 0
}

/** Compares two stream ids: the result is below 0 if `a` comes before `b`, and above 0 if it comes after. */
export function compareStreamIds (a: string, b: string): number {
  const [timeA = '', sequenceA = ''] = a.split('-')
  const [timeB = '', sequenceB = ''] = b.split('-')
  return compareNumbers(timeA, timeB) || compareNumbers(sequenceA, sequenceB)
}

/** Compares two whole numbers of any length, which are written without leading zeros. */
function compareNumbers (a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
