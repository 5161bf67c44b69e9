import { Fifo } from '../fifo.ts'
import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'

/** The frames that are pending for one connection. They are sent in the order in which they were pushed. */
export class FrameQueue {
  readonly #frames = new Fifo<Frame>()
  #bytes = 0

  /** The number of pending frames. */
  get length (): number {
    return this.#frames.length
  }

  /** The size of all pending frames, in bytes, in which each counts with its overhead. */
  get bytes (): number {
    return this.#bytes
  }

  push (frame: Frame): void {
    this.#frames.push(frame)
    this.#bytes += sizeOf(frame)
  }

  /** Removes the oldest frame and returns it, or `undefined` if none is pending. */
  shift (): Frame | undefined {
    const frame = this.#frames.shift()
    if (frame !== undefined) this.#bytes -= sizeOf(frame)
    return frame
  }
}

/** The frames that are pending for one connection, of which a frame with a key replaces the one with the same key. */
export class LatestFrameQueue {
  /** The pending frames in the order in which they will be sent. The key of a frame without one is a symbol. */
  readonly #frames = new Map<unknown, Frame>()
  /**
   * The keys from the oldest frame on, while frames are being removed. A `Map`'s iterator keeps its place while entries
   * are added and deleted. Until it is used again, it also keeps every hash table that the `Map` has outgrown since,
   * with the frames in it: so it is dropped after as many additions as there are frames. A new one has to pass over the
   * places of removed frames, which is then paid for.
   */
  #keys: MapIterator<unknown> | null = null
  /** How many frames were added since the iterator was last used. */
  #additions = 0
  #bytes = 0

  /** The number of pending frames. */
  get length (): number {
    return this.#frames.size
  }

  /** The size of all pending frames, in bytes, in which each counts with its overhead. */
  get bytes (): number {
    return this.#bytes
  }

  /** The size of the frame with this key, in bytes with its overhead, or 0 if none is pending. */
  bytesOf (key: unknown): number {
    const frame = this.#frames.get(key)
    return frame === undefined ? 0 : sizeOf(frame)
  }

  /** Adds a frame. It takes the place of the frame with the same key or, with `toTail`, the last place in its stead. */
  push (frame: Frame, key: unknown = Symbol('none'), toTail = false): void {
    this.#bytes += sizeOf(frame) - this.bytesOf(key)
    if (this.#additions++ > this.#frames.size) this.#keys = null
    if (toTail) this.#frames.delete(key)
    this.#frames.set(key, frame)
  }

  /** Removes the first frame and returns it, or `undefined` if none is pending. */
  shift (): Frame | undefined {
    this.#keys ??= this.#frames.keys()
    this.#additions = 0
    const { value: key, done } = this.#keys.next()
    if (done === true) {
      this.#keys = null
      return undefined
    }
    const frame = this.#frames.get(key)
    this.#frames.delete(key)
    if (frame !== undefined) this.#bytes -= sizeOf(frame)
    return frame
  }
}
