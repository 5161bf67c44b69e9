import {
  FST_SSE_INVALID_FIELD, FST_SSE_INVALID_MESSAGE, FST_SSE_SERIALIZATION, FST_SSE_UNKNOWN_FIELD, show
} from './errors.ts'
import { END_ID, formatId } from './event-id.ts'

/** `data` that is not a string → the string that stands for it. */
export type Serializer = (data: unknown) => string

/** The bytes of one event, as they go on the wire. Never changed: many connections may share them. */
export type Frame = Buffer

const LINE_END = /\r\n|\r|\n/
const FIELDS: ReadonlySet<string> = new Set(['data', 'id', 'type', 'retry', 'comment'])

/** What keeps a quiet connection alive: an empty comment. */
export const EMPTY_COMMENT: Frame = Buffer.from(':\n\n')

/**
 * One value of a source → its frame, or `null` where there is nothing to write.
 * [spec] WHATWG HTML 9.2.5, "Parsing an event stream".
 */
export function encodeFrame (value: unknown, serializer: Serializer): Frame | null {
  if (!isMessage(value)) return Buffer.from(`${dataField(value, serializer)}\n`)

  // Each field is read once: a getter may give another value the second time.
  const { data, id, type, retry, comment } = value
  let text = ''
  if (isPresent(comment)) text += lines(':', stringField('comment', comment))
  if (isPresent(id)) text += `id: ${formatId(id)}\n`
  if (isPresent(type)) text += `event: ${formatType(type)}\n`
  if (isPresent(retry)) text += `retry: ${formatRetry(retry)}\n`
  if (data !== undefined) text += dataField(data, serializer)
  // [spec] "If the data buffer is an empty string, set … the event type buffer to the empty string and return."
  else if (isPresent(type)) text += 'data:\n'
  return text === '' ? null : Buffer.from(`${text}\n`)
}

/** The first thing on a connection whose browser is told how long to wait before it reconnects. */
export function encodeRetry (milliseconds: number): Frame {
  return Buffer.from(`retry: ${milliseconds}\n\n`)
}

/** The last event of a finite stream. An id without data is ignored by all but Chromium. */
export function encodeEnd (type: string, data: unknown, serializer: Serializer): Frame {
  const body = data === undefined ? 'data:\n' : dataField(data, serializer)
  return Buffer.from(`id: ${END_ID}\nevent: ${formatType(type)}\n${body}\n`)
}

function isPresent (field: unknown): boolean {
  return field !== undefined && field !== null
}

function isMessage (value: unknown): value is Record<string, unknown> {
  if (value === null || Array.isArray(value)) return false
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return false
  if (typeof value !== 'object') {
    throw new FST_SSE_INVALID_MESSAGE(show(value), 'emit { data }, or a string, number, boolean, null or array')
  }
  if (isPlain(value)) {
    for (const key in value) {
      if (!FIELDS.has(key) && value[key] !== undefined) throw unknownField(key)
    }
  } else if (!('data' in value || 'id' in value || 'type' in value || 'retry' in value || 'comment' in value)) {
    throw new FST_SSE_INVALID_MESSAGE(show(value), ArrayBuffer.isView(value) || value instanceof ArrayBuffer
      ? 'bytes are not text: emit their text as { data: string }'
      : 'it has none of the fields data, id, type, retry and comment: wrap it, { data: value }')
  }
  return true
}

function isPlain (value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

function unknownField (key: string): Error {
  return new FST_SSE_UNKNOWN_FIELD(key, key === 'event'
    ? 'did you mean "type"?'
    : 'if it is part of the data, wrap it: { data: value }')
}

function dataField (data: unknown, serializer: Serializer): string {
  return lines('data:', typeof data === 'string' ? data : serialize(data, serializer))
}

/** [spec] "Lines must be separated by either a CRLF pair, a single LF, or a single CR": each is a field of its own. */
function lines (name: string, text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return `${name} ${text}\n`
  return `${name} ${text.split(LINE_END).join(`\n${name} `)}\n`
}

function serialize (data: unknown, serializer: Serializer): string {
  let text: unknown
  try {
    text = serializer(data)
  } catch (cause) {
    throw new FST_SSE_SERIALIZATION(show(data), `the serializer threw: ${show(cause instanceof Error ? cause.message : cause)}`, { cause })
  }
  if (typeof text === 'string') return text
  // An async serializer: what it rejects with must not go unhandled.
  if (text instanceof Promise) text.catch(() => {})
  throw new FST_SSE_SERIALIZATION(show(data), `the serializer gave ${show(text)}: it must give a string`)
}

function stringField (name: string, value: unknown): string {
  if (typeof value !== 'string') throw new FST_SSE_INVALID_FIELD(name, 'a string', show(value))
  return value
}

function formatType (type: unknown): string {
  const text = stringField('type', type)
  if (LINE_END.test(text)) throw new FST_SSE_INVALID_FIELD('type', 'a string without line ends', show(type))
  return text
}

function formatRetry (retry: unknown): string {
  if (!Number.isSafeInteger(retry) || Number(retry) < 0) {
    throw new FST_SSE_INVALID_FIELD('retry', 'a whole number of milliseconds from 0', show(retry))
  }
  return String(retry)
}
