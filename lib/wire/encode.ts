import {
  FST_SSE_INVALID_FIELD, FST_SSE_INVALID_MESSAGE, FST_SSE_SERIALIZATION, FST_SSE_UNKNOWN_FIELD
} from '../errors.ts'
import { kindOf, preview } from '../preview.ts'
import { END_ID, formatId } from './event-id.ts'
import { Frame, fixedFrame } from './frame.ts'

/** Makes a string of `data` that is not a string. */
export type Serializer = (data: unknown) => string

const LINE_END = /\r\n|\r|\n/
const FIELDS: ReadonlySet<string> = new Set(['data', 'id', 'type', 'retry', 'comment'])

/** An empty comment, which clients ignore: it keeps a quiet connection alive. */
export const EMPTY_COMMENT = fixedFrame(':\n\n')

/** The five fields of a message. They are read once, as a getter may return another value the second time. */
export interface Fields {
  readonly data?: unknown
  readonly id?: unknown
  readonly type?: unknown
  readonly retry?: unknown
  readonly comment?: unknown
  /** Whether the value was no message, but the bare `data` of one. */
  readonly isBare: boolean
}

/** The method of a message that returns its own frame. */
export const kFrame = Symbol('fastify-rxjs-sse.frame')

/**
 * A message that keeps its frame for all its readers, as the entries of an event log do: each connection is sent the
 * message at its own time, so that the shared encoder, which remembers one turn of the event loop, cannot help.
 */
export interface Framed {
  [kFrame] (serializer: Serializer): Frame
}

export function isFramed (value: unknown): value is Framed {
  return typeof value === 'object' && value !== null && kFrame in value
}

/**
 * Makes the frame of a value that a source has emitted; `null` for a message without any field, which writes nothing.
 * Throws what `readFields` and `encodeFields` throw.
 */
export function encodeFrame (value: unknown, serializer: Serializer): Frame | null {
  return encodeFields(readFields(value), serializer)
}

/**
 * Reads the fields of a value that a source has emitted: those of a message, or of a bare value, which is its `data`.
 * Throws `FST_SSE_INVALID_MESSAGE` and `FST_SSE_UNKNOWN_FIELD`.
 */
export function readFields (value: unknown): Fields {
  if (!isMessage(value)) return { data: value, isBare: true }
  const { data, id, type, retry, comment } = value
  return { data, id, type, retry, comment, isBare: false }
}

/**
 * Makes the frame of a message; `null` if no field is present, and nothing is to be written. Throws
 * `FST_SSE_INVALID_FIELD`, `FST_SSE_RESERVED_ID` and `FST_SSE_SERIALIZATION`.
 * [spec] WHATWG HTML 9.2.5, "Parsing an event stream".
 */
export function encodeFields ({ data, id, type, retry, comment }: Fields, serializer: Serializer): Frame | null {
  let head = ''
  if (isPresent(comment)) head += `: ${splitLines(':', stringField('comment', comment))}\n`
  if (isPresent(id)) head += `id: ${formatId(id)}\n`
  if (isPresent(type)) head += `event: ${formatType(type)}\n`
  if (isPresent(retry)) head += `retry: ${formatRetry(retry)}\n`
  if (data !== undefined) return dataFrame(head, data, serializer)
  // [spec] "If the data buffer is an empty string, set … the event type buffer to the empty string and return."
  if (isPresent(type)) head += 'data:\n'
  return head === '' ? null : new Frame(head, '', '\n')
}

/** Makes the frame of a reconnection time, in milliseconds, with which a stream begins. */
export function encodeRetry (milliseconds: number): Frame {
  return fixedFrame(`retry: ${milliseconds}\n\n`)
}

/**
 * Makes the last event of a finite stream, which has the reserved id. It has a `data` field even if `data` is
 * `undefined`: all browsers but Chromium ignore an id in a block without one.
 */
export function encodeEnd (type: string, data: unknown, serializer: Serializer): Frame {
  const head = `id: ${END_ID}\nevent: ${formatType(type)}\n`
  return data === undefined ? fixedFrame(`${head}data:\n\n`) : dataFrame(head, data, serializer)
}

/** Whether a field other than `data` is written: `null` is absence there. */
export function isPresent (field: unknown): boolean {
  return field !== undefined && field !== null
}

function isMessage (value: unknown): value is Record<string, unknown> {
  if (value === null || Array.isArray(value)) return false
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return false
  if (typeof value !== 'object') {
    throw new FST_SSE_INVALID_MESSAGE(kindOf(value), 'emit { data }, or a string, number, boolean, null or array')
  }
  if (isPlain(value)) {
    for (const key in value) {
      if (!FIELDS.has(key) && value[key] !== undefined) throw unknownField(key)
    }
  } else if (!('data' in value || 'id' in value || 'type' in value || 'retry' in value || 'comment' in value)) {
    throw new FST_SSE_INVALID_MESSAGE(kindOf(value), hintFor(value))
  }
  return true
}

function hintFor (value: object): string {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return 'bytes are not text: emit their text as { data: string }'
  }
  if (value instanceof Promise) {
    // Nobody else handles its rejection.
    value.catch(() => {})
    return 'wait for it: concatMap(async (value) => …), instead of map()'
  }
  return 'it has none of the fields data, id, type, retry and comment: wrap it, { data: value }'
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

function dataFrame (head: string, data: unknown, serializer: Serializer): Frame {
  const text = typeof data === 'string' ? data : serialize(data, serializer)
  return new Frame(`${head}data: `, splitLines('data:', text), '\n\n')
}

/**
 * Puts the name of a field before each line of its value but the first.
 * [spec] "Lines must be separated by either a CRLF pair, a single LF, or a single CR".
 */
function splitLines (name: string, text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return text
  return text.split(LINE_END).join(`\n${name} `)
}

/** Calls the serializer. Throws `FST_SSE_SERIALIZATION` if it throws, or returns something else than a string. */
export function serialize (data: unknown, serializer: Serializer): string {
  let text: unknown
  try {
    text = serializer(data)
  } catch (cause) {
    const reason = preview(cause instanceof Error ? cause.message : cause)
    throw new FST_SSE_SERIALIZATION(kindOf(data), `the serializer threw: ${reason}`, { cause })
  }
  if (typeof text === 'string') return text
  // The serializer is async, and nobody else handles the rejection of its promise.
  if (text instanceof Promise) text.catch(() => {})
  throw new FST_SSE_SERIALIZATION(kindOf(data), `the serializer gave ${kindOf(text)}: it must give a string`)
}

function stringField (name: string, value: unknown): string {
  if (typeof value !== 'string') throw new FST_SSE_INVALID_FIELD(name, 'a string', kindOf(value))
  return value
}

function formatType (type: unknown): string {
  const text = stringField('type', type)
  if (LINE_END.test(text)) throw new FST_SSE_INVALID_FIELD('type', 'a string without line ends', kindOf(type))
  return text
}

function formatRetry (retry: unknown): string {
  if (!Number.isSafeInteger(retry) || Number(retry) < 0) {
    throw new FST_SSE_INVALID_FIELD('retry', 'a whole number of milliseconds from 0', kindOf(retry))
  }
  return String(retry)
}
