import { SendBuffer } from './buffer.ts'
import type { BufferOptions, FrameKey } from './buffer.ts'
import type { Frame } from './frame.ts'
import type { Writer } from './writer.ts'

/** What one connection is owed: frames go straight to the writer where it takes them, and wait where it does not. */
export class Outbox {
  readonly #options: BufferOptions
  #writer: Writer | null
  /** Most connections never need one. */
  #buffer: SendBuffer | null
  /** What leaves when nothing waits any more. */
  #last: Frame | null
  #events: number
  #lastWrite: number

  constructor (options: BufferOptions) {
    this.#options = options
    this.#writer = null
    this.#buffer = null
    this.#last = null
    this.#events = 0
    this.#lastWrite = 0
  }

  /** Nothing waits, and the writer takes more; before there is one, one frame is wanted. */
  get isFree (): boolean {
    return (this.#buffer === null || this.#buffer.isEmpty) && this.#writer?.isBlocked !== true
  }

  get hasWaiting (): boolean {
    return this.#buffer !== null && !this.#buffer.isEmpty
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

  attach (writer: Writer): void {
    this.#writer = writer
  }

  /** Sends a frame of the source's, now or later, or drops what the policy says; `false` where that is the connection. */
  send (frame: Frame, keyOf: () => FrameKey | null): boolean {
    if (this.#writer !== null && this.isFree) {
      this.#events++
      this.#write(this.#writer, frame)
      return true
    }
    this.#buffer ??= new SendBuffer(this.#options)
    return this.#buffer.offer(frame, this.busyBytes, keyOf())
  }

  /** Writes a frame that is not the source's, if nothing is in its way. */
  sendBetween (frame: Frame): void {
    if (this.#writer !== null && this.isFree) this.#write(this.#writer, frame)
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
  drain (): boolean {
    const writer = this.#writer
    if (writer === null) return false
    while (!writer.isBlocked) {
      const frame = this.#buffer?.shift()
      if (frame !== undefined) {
        this.#events++
        this.#write(writer, frame)
      } else {
        if (this.#last === null) return true
        this.#write(writer, this.#last)
        this.#last = null
      }
    }
    return false
  }

  onceWritten (callback: () => void): void {
    this.#writer?.onceWritten(callback)
  }

  release (): void {
    this.#writer?.release()
  }

  #write (writer: Writer, frame: Frame): void {
    this.#lastWrite = performance.now()
    writer.write(frame.bytes)
  }
}
