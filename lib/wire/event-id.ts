import { FST_SSE_INVALID_FIELD, FST_SSE_RESERVED_ID } from '../errors.ts'
import { kindOf } from '../preview.ts'

/**
 * The id of the last event of a finite stream. A browser that comes back with it has seen the end, and is
 * answered 204.
 */
export const END_ID = 'fastify-rxjs-sse:end'

/**
 * What survives the way back in a `Last-Event-ID` header: control characters make Node answer 400, other scripts
 * come back as mojibake, outer spaces are trimmed, and a long one is a 431.
 */
const ID = /^(?:[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?)?$/

/** Whether it can be the id of an event: what a client sends may be anything. */
export function isId (text: string): boolean {
  return ID.test(text)
}

/** An id as it is written. Throws `FST_SSE_INVALID_FIELD` and `FST_SSE_RESERVED_ID`. */
export function formatId (id: unknown): string {
  if (typeof id === 'number' && Number.isFinite(id)) return String(id)
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new FST_SSE_INVALID_FIELD(
      'id', 'a finite number or at most 1024 characters of printable ASCII without outer spaces', kindOf(id))
  }
  if (id === END_ID) throw new FST_SSE_RESERVED_ID(END_ID)
  return id
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A `Last-Event-ID` header as it was meant: clients send UTF-8 (WHATWG HTML, 9.2.3), which Node reads as latin1. */
export function decodeLastEventId (header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  if (value === undefined || !/[\x80-\xff]/.test(value)) return value
  try {
    return utf8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}
