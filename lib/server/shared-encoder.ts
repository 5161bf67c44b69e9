import { encodeFields, kFrame, readFields } from '../wire/encode.ts'
import type { Fields, Framed, Serializer } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import type { WriteBatch } from './write-batch.ts'

/** A message that was encoded in this turn of the event loop. */
interface Encoded {
  /** A number that is higher than that of every message encoded before. */
  readonly sequence: number
  readonly fields: Fields
  readonly frame: Frame | null
}

/** A connection, by which the encoder sees whether a message is sent to it for the second time. */
export interface Recipient {
  /** The sequence number of the last message that was encoded for it, or found encoded; 0 before the first. */
  lastSequence: number
}

/**
 * Encodes a message once for all connections that are sent it in one turn of the event loop, as the subscribers of a
 * hot source are.
 *
 * A message is found by its identity, its five fields and the serializer. These do not show that `data` was changed in
 * place, so a message that is sent to the same connection again is encoded anew. One case remains unseen: `data` that
 * is changed in place and emitted to other connections in the same turn. The option `encodeOnce` is for it.
 */
export class SharedEncoder {
  readonly #batch: WriteBatch
  readonly #encoded: Map<Serializer, Map<unknown, Encoded>> = new Map()
  /** The frames that keep their bytes until the turn ends. */
  #keptFrames: Frame[] = []
  /** The message that was found or encoded last: the connections of a route ask for the same one after the other. */
  #lastSerializer: Serializer | null = null
  #lastValue: unknown = undefined
  #last: Encoded | undefined = undefined
  #sequence = 0
  readonly #forget = (): void => {
    for (const frame of this.#keptFrames) frame.keepsBytes = false
    this.#keptFrames = []
    this.#encoded.clear()
    this.#setLast(null, undefined, undefined)
  }

  constructor (batch: WriteBatch) {
    this.#batch = batch
  }

  /**
   * Gives the frame of a value that is sent to `recipient`; `null` for a message without any field. Throws what
   * `encodeFrame` throws.
   */
  encode (value: unknown, serializer: Serializer, recipient: Recipient): Frame | null {
    const found = this.#find(value, serializer)
    if (found !== undefined && found.sequence > recipient.lastSequence && isUnchanged(value, found.fields)) {
      recipient.lastSequence = found.sequence
      return found.frame
    }
    const fields = readFields(value)
    const frame = encodeFields(fields, serializer)
    if (frame !== null) this.#keepBytes(frame)
    recipient.lastSequence = ++this.#sequence
    this.#remember(value, serializer, { sequence: this.#sequence, fields, frame })
    return frame
  }

  /** Gives the frame of a message that has its own, and keeps its bytes until the turn ends. */
  frameOf (message: Framed, serializer: Serializer): Frame {
    const frame = message[kFrame](serializer)
    if (!frame.keepsBytes) this.#keepBytes(frame)
    return frame
  }

  #keepBytes (frame: Frame): void {
    this.#scheduleForget()
    frame.keepsBytes = true
    this.#keptFrames.push(frame)
  }

  #scheduleForget (): void {
    if (this.#keptFrames.length + this.#encoded.size === 0) this.#batch.atEnd(this.#forget)
  }

  #find (value: unknown, serializer: Serializer): Encoded | undefined {
    if (value !== this.#lastValue || serializer !== this.#lastSerializer) {
      this.#setLast(serializer, value, this.#encoded.get(serializer)?.get(value))
    }
    return this.#last
  }

  #setLast (serializer: Serializer | null, value: unknown, encoded: Encoded | undefined): void {
    this.#lastSerializer = serializer
    this.#lastValue = value
    this.#last = encoded
  }

  #remember (value: unknown, serializer: Serializer, encoded: Encoded): void {
    this.#scheduleForget()
    this.#setLast(serializer, value, encoded)
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
