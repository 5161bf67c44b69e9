import { SendBuffer } from './buffer.ts'
import type { BufferOptions, FrameKey } from './buffer.ts'
import type { Bytes, Frame } from './frame.ts'
import type { Flushable, Turn } from './turn.ts'
import type { Writer } from './writer.ts'

/** What one connection is owed: frames wait until the turn is over, and then until the writer takes them. */
export class Outbox {
  readonly #options: BufferOptions
  readonly #turn: Turn
  readonly #owner: Flushable
  #writer: Writer | null
  /** Most connections are idle, and never need one. */
  #buffer: SendBuffer | null
  /** What leaves when nothing waits any more. */
  #last: Frame | null
  /** The end of the turn will see to what waits. */
  #isDue: boolean
  #events: number
  #lastWrite: number

  constructor (options: BufferOptions, turn: Turn, owner: Flushable) {
    this.#options = options
    this.#turn = turn
    this.#owner = owner
    this.#writer = null
    this.#buffer = null
    this.#last = null
    this.#isDue = false
    this.#events = 0
    this.#lastWrite = 0
  }

  get hasWaiting (): boolean {
    return this.#buffer !== null && !this.#buffer.isEmpty
  }

  /** It would be written at once if there were more; before there is a writer, one frame is wanted. */
  get wantsMore (): boolean {
    if (this.#writer === null) return !this.hasWaiting
    return !this.#writer.isBlocked && (this.#buffer === null || this.#buffer.bytes < this.#writer.highWaterMark)
  }

  /** Values of the source that were written. */
  get events (): number {
    return this.#events
  }

  get bytes (): number {
    return this.#writer?.writtenBytes ?? 0
  }

  get dropped (): number {
    return this.#buffer?.dropped ?? 0
  }

  /** How many bytes have not left Node yet, of those that were written. */
  get busyBytes (): number {
    return this.#writer?.busyBytes ?? 0
  }

  /** By `performance.now()`. */
  get lastWrite (): number {
    return this.#lastWrite
  }

  /** The head leaves, with the first bytes. */
  open (writer: Writer, first: Frame): void {
    this.#writer = writer
    this.#lastWrite = performance.now()
    writer.open(first)
  }

  /** Sends a frame of the source's, or drops what the policy says; `false` where that is the connection. */
  send (frame: Frame, keyOf: () => FrameKey | null): boolean {
    this.#buffer ??= new SendBuffer(this.#options)
    if (!this.#buffer.offer(frame, this.busyBytes, keyOf())) return false
    if (!this.#isDue && this.#writer?.isBlocked === false) {
      this.#isDue = true
      this.#turn.add(this.#owner)
    }
    return true
  }

  /** Writes a frame that is not the source's, where nothing is written anyway. */
  sendBetween (frame: Frame): void {
    this.#lastWrite = performance.now()
    if (!this.hasWaiting && this.#writer?.isBlocked === false) this.#writer.write(frame)
  }

  /** The last frame, behind all that waits. */
  sendLast (frame: Frame | null): void {
    this.#last = frame
  }

  /** Forgets what waits. */
  clear (): void {
    this.#buffer = null
    this.#last = null
  }

  /** Writes what waits, as long as the writer takes it. `true` when all has been written. */
  flush (): boolean {
    const writer = this.#writer
    this.#isDue = false
    if (writer === null) return false
    while (!writer.isBlocked) {
      const bytes = this.#nextBytes(writer.highWaterMark)
      if (bytes === null) return true
      this.#lastWrite = performance.now()
      writer.write(bytes)
    }
    return false
  }

  onceWritten (callback: () => void): void {
    this.#writer?.onceWritten(callback)
  }

  release (): void {
    this.#writer?.release()
  }

  /** What leaves next: no more than `limit` at once, but for a frame that is larger, so that what waits can still be dropped. */
  #nextBytes (limit: number): Bytes | null {
    const frame = this.#buffer?.shift()
    if (frame === undefined) {
      const last = this.#last
      this.#last = null
      return last
    }
    this.#events++
    if (!this.hasWaiting || frame.size >= limit) return frame
    return this.#turn.join(this.#shiftMore(frame, limit))
  }

  #shiftMore (first: Frame, limit: number): Frame[] {
    const frames = [first]
    for (let size = first.size; size < limit;) {
      const frame = this.#buffer?.shift()
      if (frame === undefined) break
      this.#events++
      size += frame.size
      frames.push(frame)
    }
    return frames
  }
}
