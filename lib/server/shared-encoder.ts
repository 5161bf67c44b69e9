import { encodeFields, kFrame, readFields } from '../wire/encode.ts'
import type { Fields, Framed, Serializer } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import type { WriteBatch } from './write-batch.ts'

/** A message that was encoded in this turn. */
interface Encoded {
  /** Rises with each encoding. */
  readonly order: number
  readonly fields: Fields
  readonly frame: Frame | null
}

/** What a connection remembers of the messages that it was given, so that it is seen when one comes again. */
export interface Recipient {
  lastSequence: number
}

/**
 * Encodes a message once for all connections that get it in one turn, as the subscribers of a hot source do.
 *
 * A message is found by its identity, its five fields and the serializer. That does not show `data` changed in place,
 * so a connection that sees the message again has it encoded anew. What is left is `data` changed in place and emitted
 * to other connections in the same turn.
 */
export class SharedEncoder {
  readonly #encoded: Map<Serializer, Map<unknown, Encoded>>
  /** Frames whose bytes are kept until the turn is over. */
  #kept: Frame[]
  readonly #forget: () => void
  readonly #batch: WriteBatch
  /** The last that was found or made: all connections of a route ask for the same, one after the other. */
  #lastSerializer: Serializer | null
  #lastValue: unknown
  #last: Encoded | undefined
  #order: number

  constructor (batch: WriteBatch) {
    this.#batch = batch
    this.#encoded = new Map()
    this.#kept = []
    this.#forget = () => {
      for (const frame of this.#kept) frame.keepsBytes = false
      this.#kept = []
      this.#encoded.clear()
      this.#keepLast(null, undefined, undefined)
    }
    this.#lastSerializer = null
    this.#lastValue = undefined
    this.#last = undefined
    this.#order = 0
  }

  encode (value: unknown, serializer: Serializer, reader: Recipient): Frame | null {
    const known = this.#find(value, serializer)
    if (known !== undefined && known.order > reader.lastSequence && isUnchanged(value, known.fields)) {
      reader.lastSequence = known.order
      return known.frame
    }
    const fields = readFields(value)
    const frame = encodeFields(fields, serializer)
    if (frame !== null) this.#keepBytes(frame)
    reader.lastSequence = ++this.#order
    this.#remember(value, serializer, { order: this.#order, fields, frame })
    return frame
  }

  /** For a message that has its frame. */
  frameOf (value: Framed, serializer: Serializer): Frame {
    const frame = value[kFrame](serializer)
    if (!frame.keepsBytes) this.#keepBytes(frame)
    return frame
  }

  #keepBytes (frame: Frame): void {
    this.#scheduleForget()
    frame.keepsBytes = true
    this.#kept.push(frame)
  }

  #scheduleForget (): void {
    if (this.#kept.length + this.#encoded.size === 0) this.#batch.atEnd(this.#forget)
  }

  #find (value: unknown, serializer: Serializer): Encoded | undefined {
    if (value !== this.#lastValue || serializer !== this.#lastSerializer) {
      this.#keepLast(serializer, value, this.#encoded.get(serializer)?.get(value))
    }
    return this.#last
  }

  #keepLast (serializer: Serializer | null, value: unknown, encoded: Encoded | undefined): void {
    this.#lastSerializer = serializer
    this.#lastValue = value
    this.#last = encoded
  }

  #remember (value: unknown, serializer: Serializer, encoded: Encoded): void {
    this.#scheduleForget()
    this.#keepLast(serializer, value, encoded)
    const ofSerializer = this.#encoded.get(serializer)
    if (ofSerializer === undefined) this.#encoded.set(serializer, new Map([[value, encoded]]))
    else ofSerializer.set(value, encoded)
  }
}

function isUnchanged (value: unknown, fields: Fields): boolean {
  if (fields.isBare) return true
  const message = value as Fields
  return message.data === fields.data && message.id === fields.id && message.type === fields.type &&
    message.retry === fields.retry && message.comment === fields.comment
}
