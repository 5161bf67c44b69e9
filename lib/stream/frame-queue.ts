import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'

/** The frames that wait, first come, first served. */
export class FrameQueue {
  #frames: Array<Frame | undefined>
  #head: number
  #bytes: number

  constructor () {
    this.#frames = []
    this.#head = 0
    this.#bytes = 0
  }

  get length (): number {
    return this.#frames.length - this.#head
  }

  /** With the overhead of each frame. */
  get bytes (): number {
    return this.#bytes
  }

  push (frame: Frame): void {
    this.#frames.push(frame)
    this.#bytes += sizeOf(frame)
  }

  shift (): Frame | undefined {
    const frame = this.#frames[this.#head]
    if (frame === undefined) return undefined
    this.#frames[this.#head++] = undefined
    this.#bytes -= sizeOf(frame)
    // Array.prototype.shift() would move all that is behind, each time.
    if (this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
    return frame
  }
}

/** The frames that wait, of which only the newest of each key matters. */
export class LatestFrameQueue {
  /** In the order in which they will leave. Frames without a key of the user's have one of their own. */
  readonly #frames: Map<unknown, Frame>
  /** Goes on where it is, whatever is put in or taken out behind it. */
  #first: MapIterator<unknown>
  #bytes: number

  constructor () {
    this.#frames = new Map()
    this.#first = this.#frames.keys()
    this.#bytes = 0
  }

  get length (): number {
    return this.#frames.size
  }

  /** With the overhead of each frame. */
  get bytes (): number {
    return this.#bytes
  }

  /** What the frame of this key would free if it were replaced, or 0. */
  bytesOf (key: unknown): number {
    const frame = this.#frames.get(key)
    return frame === undefined ? 0 : sizeOf(frame)
  }

  /** Puts the frame in the place of the one with the same key, or, with `toTail`, at the end in its stead. */
  push (frame: Frame, key: unknown = Symbol('none'), toTail = false): void {
    this.#bytes += sizeOf(frame) - this.bytesOf(key)
    if (toTail) this.#frames.delete(key)
    this.#frames.set(key, frame)
  }

  shift (): Frame | undefined {
    let { value: key, done } = this.#first.next()
    if (done === true) {
      // An iterator that has come to the end does not see what is added later.
      this.#first = this.#frames.keys()
      ;({ value: key, done } = this.#first.next())
      if (done === true) return undefined
    }
    const frame = this.#frames.get(key)
    this.#frames.delete(key)
    if (frame !== undefined) this.#bytes -= sizeOf(frame)
    return frame
  }
}
