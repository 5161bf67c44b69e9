import { FST_SSE_INVALID_FIELD, FST_SSE_RESERVED_ID } from '../errors.ts'
import { kindOf } from '../preview.ts'

/** The id of the last event of a finite stream. A browser that reconnects with it has seen the end, and gets a 204. */
export const END_ID = 'fastify-rxjs-sse:end'

/**
 * Matches an id that a client can send back unchanged in a `Last-Event-ID` header. Node answers 400 to a header with
 * control characters and 431 to one that is too long, trims outer spaces, and reads other scripts as latin1.
 */
const ID = /^(?:[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?)?$/

/** Whether a text can be the id of an event. What a client sends as one may be anything. */
export function isId (text: string): boolean {
  return ID.test(text)
}

/** Returns an id as it is written. Throws `FST_SSE_INVALID_FIELD` and `FST_SSE_RESERVED_ID`. */
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

/**
 * Decodes a `Last-Event-ID` header: clients send UTF-8 (WHATWG HTML, 9.2.3), which Node reads as latin1. One that is no
 * valid UTF-8 is returned as it came.
 */
export function decodeLastEventId (header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  if (value === undefined || !/[\x80-\xff]/.test(value)) return value
  try {
    return utf8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}
