import type { LoggedEvent } from '../../types/event-log.ts'
import { FST_SSE_INVALID_FIELD, FST_SSE_INVALID_MESSAGE } from '../errors.ts'
import { kindOf } from '../preview.ts'
import { encodeFields, isPresent, kFrame, readFields, serialize } from '../wire/encode.ts'
import type { Framed, Serializer } from '../wire/encode.ts'
import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'

/** What an event of a log is, but for its id. */
export interface Content {
  /** The data as it is sent, or `undefined` where there is none. */
  readonly text: string | undefined
  /** The text is JSON, and not a string of the user's. */
  readonly isJson: boolean
  readonly type: string | undefined
  readonly retry: number | undefined
  readonly comment: string | undefined
}

/** The content of a value that is appended. Throws the errors of a message that cannot be sent. */
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
  // What is wrong with the other fields is told to who appends, and not to who reads.
  encode('', content)
  return content
}

/** An event of a log. It is encoded once for all who read it with the same serializer. */
export class LogEntry implements LoggedEvent, Framed {
  readonly id: string
  /** When it was appended, in milliseconds since 1970. */
  readonly time: number
  /** What it counts for where the log is bounded by bytes. */
  readonly size: number
  readonly #content: Content
  readonly #json: Frame
  /** Of the serializer that was last asked for, besides JSON. */
  #frame: Frame | null
  #serializer: Serializer | null
  /** Data made of the text lives as long as someone uses it: in memory it takes several times what the text does. */
  #message: WeakRef<LogMessage> | null

  constructor (id: string, time: number, content: Content) {
    this.id = id
    this.time = time
    this.#content = content
    this.#json = encode(id, content)
    this.#frame = null
    this.#serializer = null
    this.#message = null
    this.size = sizeOf(this.#json)
  }

  /** For the user's code: the same for all who ask while someone uses it. */
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
    if (serializer === JSON.stringify || !content.isJson) return this.#json
    if (this.#frame === null || this.#serializer !== serializer) {
      this.#frame = encode(this.id, { ...content, text: serialize(this.data, serializer) })
      this.#serializer = serializer
    }
    return this.#frame
  }
}

/** An event as the user's code gets it, which may spread it: a copy has no frame, and is encoded anew. */
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
    // Others get it too, and its frame would not change with it.
    Object.freeze(this)
  }

  [kFrame] (serializer: Serializer): Frame {
    return this.#entry[kFrame](serializer)
  }
}

function encode (id: string, { text, type, retry, comment }: Content): Frame {
  // There is always something to write: data or a type.
  return encodeFields({ data: text, id, type, retry, comment, isBare: false }, JSON.stringify) as Frame
}
