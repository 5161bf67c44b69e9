import {
  FST_SSE_INVALID_FIELD, FST_SSE_INVALID_MESSAGE, FST_SSE_SERIALIZATION, FST_SSE_UNKNOWN_FIELD, describe, show
} from './errors.ts'
import { END_ID, formatId } from './event-id.ts'

/** `data` that is not a string → the string that stands for it. */
export type Serializer = (data: unknown) => string

/** Below this many characters, to join the text and encode it at once is cheaper than to copy it piece by piece. */
const SHORT = 1024

/** Bytes that are written at once: of one frame, or of several that leave together. */
export interface Bytes {
  readonly size: number
  readonly bytes: Uint8Array
  /** The bytes as a chunk of a chunked HTTP/1.1 body (RFC 9112, 7.1), with its size before and a line end behind. */
  readonly chunk: Uint8Array
}

/**
 * One event as it goes on the wire. Never changed, so that many connections may share it.
 *
 * It is kept as text until it is written: most of what waits for a stalled client is dropped in the end, and the text
 * is often the source's own.
 */
export class Frame implements Bytes {
  readonly #head: string
  readonly #body: string
  readonly #tail: string
  readonly size: number
  #chunk: Buffer | null
  #keepsBytes: boolean

  constructor (head: string, body = '', tail = '') {
    this.#head = head
    this.#body = body
    this.#tail = tail
    this.size = Buffer.byteLength(head) + Buffer.byteLength(body) + tail.length
    this.#chunk = null
    this.#keepsBytes = false
  }

  get bytes (): Buffer {
    return bytesOfChunk(this.chunk, this.size)
  }

  get chunk (): Buffer {
    if (this.#chunk !== null) return this.#chunk
    const chunk = this.#encode()
    if (this.#keepsBytes) this.#chunk = chunk
    return chunk
  }

  /** Whether the bytes are made once, or each time: those of a frame that waits would double what it takes. */
  get keepsBytes (): boolean {
    return this.#keepsBytes
  }

  set keepsBytes (keepsBytes: boolean) {
    this.#keepsBytes = keepsBytes
    if (!keepsBytes) this.#chunk = null
  }

  toString (): string {
    return this.#head + this.#body + this.#tail
  }

  #encode (): Buffer {
    const before = chunkSize(this.size)
    if (this.#body.length < SHORT) return Buffer.from(`${before}${this.#head}${this.#body}${this.#tail}\r\n`)
    const chunk = allocateChunk(before, this.size)
    let end = before.length
    end += chunk.write(this.#head, end)
    end += chunk.write(this.#body, end)
    chunk.write(this.#tail, end)
    return chunk
  }
}

/** Several frames that leave together. */
export class JoinedFrames implements Bytes {
  readonly size: number
  readonly chunk: Buffer

  constructor (frames: readonly Frame[]) {
    this.size = frames.reduce((size, frame) => size + frame.size, 0)
    // A text is encoded at once, where frame by frame would make a buffer of each.
    this.chunk = Buffer.from(`${chunkSize(this.size)}${frames.join('')}\r\n`)
  }

  get bytes (): Buffer {
    return bytesOfChunk(this.chunk, this.size)
  }
}

function chunkSize (size: number): string {
  return `${size.toString(16)}\r\n`
}

function allocateChunk (before: string, size: number): Buffer {
  const chunk = Buffer.allocUnsafe(before.length + size + 2)
  chunk.write(before, 'latin1')
  chunk.write('\r\n', before.length + size, 'latin1')
  return chunk
}

function bytesOfChunk (chunk: Buffer, size: number): Buffer {
  return chunk.subarray(chunk.length - size - 2, chunk.length - 2)
}

const LINE_END = /\r\n|\r|\n/
const FIELDS: ReadonlySet<string> = new Set(['data', 'id', 'type', 'retry', 'comment'])

/** What keeps a quiet connection alive: an empty comment. */
export const EMPTY_COMMENT = fixedFrame(':\n\n')

/** The five fields of a message, read once: a getter may give another value the second time. */
export interface Fields {
  readonly data?: unknown
  readonly id?: unknown
  readonly type?: unknown
  readonly retry?: unknown
  readonly comment?: unknown
  /** The value was no message: it is the data. */
  readonly isBare: boolean
}

/** Where a message that many connections get, each at its own time, has its frame. */
export const kFrame = Symbol('fastify-rxjs-sse.frame')

export interface Framed {
  [kFrame] (serializer: Serializer): Frame
}

export function isFramed (value: unknown): value is Framed {
  return typeof value === 'object' && value !== null && kFrame in value
}

/** One value of a source → its frame, or `null` where there is nothing to write. */
export function encodeFrame (value: unknown, serializer: Serializer): Frame | null {
  return encodeFields(readFields(value), serializer)
}

/** The fields of a value. Throws `FST_SSE_INVALID_MESSAGE` and `FST_SSE_UNKNOWN_FIELD`. */
export function readFields (value: unknown): Fields {
  if (!isMessage(value)) return { data: value, isBare: true }
  const { data, id, type, retry, comment } = value
  return { data, id, type, retry, comment, isBare: false }
}

/**
 * The frame of a message, or `null` where there is nothing to write.
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

/** The first thing on a connection whose browser is told how long to wait before it reconnects. */
export function encodeRetry (milliseconds: number): Frame {
  return fixedFrame(`retry: ${milliseconds}\n\n`)
}

/** The last event of a finite stream. An id without data is ignored by all but Chromium. */
export function encodeEnd (type: string, data: unknown, serializer: Serializer): Frame {
  const head = `id: ${END_ID}\nevent: ${formatType(type)}\n`
  return data === undefined ? fixedFrame(`${head}data:\n\n`) : dataFrame(head, data, serializer)
}

/** A frame that is sent again and again. */
function fixedFrame (text: string): Frame {
  const frame = new Frame(text)
  frame.keepsBytes = true
  return frame
}

export function isPresent (field: unknown): boolean {
  return field !== undefined && field !== null
}

function isMessage (value: unknown): value is Record<string, unknown> {
  if (value === null || Array.isArray(value)) return false
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return false
  if (typeof value !== 'object') {
    throw new FST_SSE_INVALID_MESSAGE(describe(value), 'emit { data }, or a string, number, boolean, null or array')
  }
  if (isPlain(value)) {
    for (const key in value) {
      if (!FIELDS.has(key) && value[key] !== undefined) throw unknownField(key)
    }
  } else if (!('data' in value || 'id' in value || 'type' in value || 'retry' in value || 'comment' in value)) {
    throw new FST_SSE_INVALID_MESSAGE(describe(value), hintFor(value))
  }
  return true
}

function hintFor (value: object): string {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return 'bytes are not text: emit their text as { data: string }'
  }
  if (value instanceof Promise) {
    // What it rejects with must not go unhandled.
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

/** [spec] "Lines must be separated by either a CRLF pair, a single LF, or a single CR": each is a field of its own. */
function splitLines (name: string, text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return text
  return text.split(LINE_END).join(`\n${name} `)
}

/** Throws `FST_SSE_SERIALIZATION`. */
export function serialize (data: unknown, serializer: Serializer): string {
  let text: unknown
  try {
    text = serializer(data)
  } catch (cause) {
    const reason = show(cause instanceof Error ? cause.message : cause)
    throw new FST_SSE_SERIALIZATION(describe(data), `the serializer threw: ${reason}`, { cause })
  }
  if (typeof text === 'string') return text
  // An async serializer: what it rejects with must not go unhandled.
  if (text instanceof Promise) text.catch(() => {})
  throw new FST_SSE_SERIALIZATION(describe(data), `the serializer gave ${describe(text)}: it must give a string`)
}

function stringField (name: string, value: unknown): string {
  if (typeof value !== 'string') throw new FST_SSE_INVALID_FIELD(name, 'a string', describe(value))
  return value
}

function formatType (type: unknown): string {
  const text = stringField('type', type)
  if (LINE_END.test(text)) throw new FST_SSE_INVALID_FIELD('type', 'a string without line ends', describe(type))
  return text
}

function formatRetry (retry: unknown): string {
  if (!Number.isSafeInteger(retry) || Number(retry) < 0) {
    throw new FST_SSE_INVALID_FIELD('retry', 'a whole number of milliseconds from 0', describe(retry))
  }
  return String(retry)
}
