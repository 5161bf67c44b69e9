import type { LoggedEvent } from '../../types/event-log.ts'
import { FST_SSE_INVALID_FIELD, FST_SSE_INVALID_MESSAGE } from '../errors.ts'
import { kindOf } from '../preview.ts'
import { encodeFields, isPresent, kFrame, readFields, serialize } from '../wire/encode.ts'
import type { Framed, Serializer } from '../wire/encode.ts'
import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'

/** The fields of a log's event without its id. */
export interface Content {
  /** The data as it is sent, or `undefined` if the event has none. */
  readonly text: string | undefined
  /** Whether the text is JSON that stands for other data. If not, the text is the data: a string. */
  readonly isJson: boolean
  readonly type: string | undefined
  /** The reconnection time, in milliseconds. */
  readonly retry: number | undefined
  readonly comment: string | undefined
}

/**
 * Makes the content of a value that is appended. Throws `FST_SSE_INVALID_MESSAGE`, `FST_SSE_UNKNOWN_FIELD`,
 * `FST_SSE_INVALID_FIELD` and `FST_SSE_SERIALIZATION` for a value that cannot be sent.
 */
export function contentOf (value: unknown): Content {
  const { data, id, type, retry, comment } = readFields(value)
  if (isPresent(id)) throw new FST_SSE_INVALID_FIELD('id', 'absent, as the log gives it', kindOf(id))
  if (data === undefined && !isPresent(type)) {
    throw new FST_SSE_INVALID_MESSAGE('what has neither data nor a type', 'a log holds events: append { data }')
  }
  const isJson = data !== undefined && typeof data !== 'string'
  const content = {
    text: isJson ? serialize(data, JSON.stringify) : data as string | undefined,
    isJson,
    type: (type ?? undefined) as string | undefined,
    retry: (retry ?? undefined) as number | undefined,
    comment: (comment ?? undefined) as string | undefined
  }
  // The other fields are checked here by being encoded: an invalid one must fail append(), and not each reader.
  encode('', content)
  return content
}

/** One event of a log. All streams that send it with the same serializer share its frame. */
export class LogEntry implements LoggedEvent, Framed {
  readonly id: string
  /** The time at which the event was appended, in milliseconds since 1970. */
  readonly time: number
  /** The size that counts towards `maxBytes`: that of the frame with its overhead, in bytes. */
  readonly size: number
  readonly #content: Content
  /** The frame in which the data is JSON. */
  readonly #jsonFrame: Frame
  /** The frame of the serializer that was asked for last, if that was another than JSON. */
  #otherFrame: Frame | null = null
  #otherSerializer: Serializer | null = null
  /** The message while user code holds it. It is weak, as parsed data takes several times the memory of its text. */
  #message: WeakRef<LogMessage> | null = null

  constructor (id: string, time: number, content: Content) {
    this.id = id
    this.time = time
    this.#content = content
    this.#jsonFrame = encode(id, content)
    this.size = sizeOf(this.#jsonFrame)
  }

  /** The event as user code gets it. All callers share one message while any of them holds it. */
  get message (): LogMessage {
    const known = this.#message?.deref()
    if (known !== undefined) return known
    const { text, isJson } = this.#content
    const message = new LogMessage(this, isJson ? JSON.parse(text as string) : text)
    this.#message = new WeakRef(message)
    return message
  }

  get data (): unknown {
    return this.#content.isJson ? this.message.data : this.#content.text
  }

  get type (): string | undefined {
    return this.#content.type
  }

  get retry (): number | undefined {
    return this.#content.retry
  }

  get comment (): string | undefined {
    return this.#content.comment
  }

  [kFrame] (serializer: Serializer): Frame {
    const content = this.#content
    if (serializer === JSON.stringify || !content.isJson) return this.#jsonFrame
    if (this.#otherFrame === null || this.#otherSerializer !== serializer) {
      this.#otherFrame = encode(this.id, { ...content, text: serialize(this.data, serializer) })
      this.#otherSerializer = serializer
    }
    return this.#otherFrame
  }
}

/** One event of a log as user code gets it. A copy made by `{ ...message }` has no frame, and is encoded anew. */
export class LogMessage implements LoggedEvent, Framed {
  readonly data: unknown
  readonly id: string
  readonly type: string | undefined
  readonly retry: number | undefined
  readonly comment: string | undefined
  readonly #entry: LogEntry

  constructor (entry: LogEntry, data: unknown) {
    this.data = data
    this.id = entry.id
    this.type = entry.type
    this.retry = entry.retry
    this.comment = entry.comment
    this.#entry = entry
    // Several readers get this object, and a change of its fields would not change its frame.
    Object.freeze(this)
  }

  [kFrame] (serializer: Serializer): Frame {
    return this.#entry[kFrame](serializer)
  }
}

/** Makes the frame of an event. It is never `null`, as each event has data or a type. */
function encode (id: string, { text, type, retry, comment }: Content): Frame {
  return encodeFields({ data: text, id, type, retry, comment, isBare: false }, JSON.stringify) as Frame
}
