import type { BufferOptions } from '../options.ts'
import type { Flushable, WriteBatch } from '../server/write-batch.ts'
import type { Bytes, Frame } from '../wire/frame.ts'
import { BoundedQueue } from './bounded-queue.ts'
import type { FrameKey } from './bounded-queue.ts'
import type { Writer } from './writer.ts'

/** Whose outbox it is. */
export interface OutboxOwner extends Flushable {
  /** The key of a message that has to wait, where the policy asks for it. */
  keyOf (value: unknown): FrameKey | null
}

/**
 * What one connection is owed. While the writer takes what comes, frames are collected until the turn is over, or there
 * are enough of them for one write; once it does not, they wait, and the buffer's policy is for them.
 */
export class Outbox {
  readonly #options: BufferOptions
  readonly #batch: WriteBatch
  readonly #owner: OutboxOwner
  #writer: Writer | null
  /** The writer's high-water mark. */
  #limit: number
  /** Nothing waits, and the writer took all it was given: there is no need to look at it for each frame. */
  #canWrite: boolean
  /** What was sent in this turn, and leaves with it: a frame, or several. */
  #frame: Frame | null
  #frames: Frame[] | null
  #collectedBytes: number
  /** As much was written in this turn as may be. */
  #batchIsFull: boolean
  /** Most connections are idle, and never need one. */
  #buffer: BoundedQueue | null
  /** What leaves when nothing waits any more. */
  #last: Frame | null
  /** The end of the turn will see to what waits. */
  #isScheduled: boolean
  #events: number
  #bytes: number
  #lastWrite: number

  constructor (options: BufferOptions, batch: WriteBatch, owner: OutboxOwner) {
    this.#options = options
    this.#batch = batch
    this.#owner = owner
    this.#writer = null
    this.#limit = 0
    this.#canWrite = false
    this.#frame = null
    this.#frames = null
    this.#collectedBytes = 0
    this.#batchIsFull = false
    this.#buffer = null
    this.#last = null
    this.#isScheduled = false
    this.#events = 0
    this.#bytes = 0
    this.#lastWrite = 0
  }

  get hasWaiting (): boolean {
    return this.#buffer !== null && !this.#buffer.isEmpty
  }

  /** Values of the source that were written. */
  get events (): number {
    return this.#events
  }

  /** Bytes of the body that were written. */
  get bytes (): number {
    return this.#bytes
  }

  get dropped (): number {
    return this.#buffer?.dropped ?? 0
  }

  /** How many bytes have not left Node yet, of those that were written. */
  get unsentBytes (): number {
    return this.#writer?.unsentBytes ?? 0
  }

  /** By `performance.now()`. */
  get lastWrite (): number {
    return this.#lastWrite
  }

  /** The head leaves, with the first bytes. */
  open (writer: Writer, first: Frame): void {
    this.#writer = writer
    this.#lastWrite = Math.trunc(performance.now())
    this.#bytes = first.size
    writer.open(first)
    this.#limit = writer.highWaterMark
  }

  /**
   * Whether what comes now is written with this turn; if not, the owner is flushed when it would be. Before there is a
   * writer, one frame is wanted.
   */
  wantsMore (): boolean {
    if (this.#writer === null) return !this.hasWaiting
    if (!this.#batchIsFull && this.#checkFree(this.#writer)) return true
    this.#setDue()
    return false
  }

  /** Sends a frame of the source's, or drops what the policy says; `false` where that is the connection. */
  send (frame: Frame, value: unknown): boolean {
    if (this.#writer === null || !this.#checkFree(this.#writer)) {
      this.#setDue()
      this.#buffer ??= new BoundedQueue(this.#options)
      return this.#buffer.offer(frame, this.unsentBytes, this.#owner.keyOf(value))
    }
    if (this.#frame === null) this.#frame = frame
    else if (this.#frames === null) this.#frames = [this.#frame, frame]
    else this.#frames.push(frame)
    this.#collectedBytes += frame.size
    if (this.#collectedBytes < this.#limit) {
      this.#setDue()
    } else {
      this.#batchIsFull = true
      this.#writeCollected(this.#writer)
    }
    return true
  }

  /** Writes a frame that is not the source's, where nothing is written anyway. */
  sendWhenIdle (frame: Frame): void {
    if (this.#writer !== null && this.#frame === null && this.#checkFree(this.#writer)) this.#write(this.#writer, frame)
    this.#lastWrite = Math.trunc(performance.now())
  }

  /** The last frame, behind all that waits. */
  setFinalFrame (frame: Frame | null): void {
    this.#last = frame
  }

  /** Forgets what waits. */
  clear (): void {
    this.#frame = null
    this.#frames = null
    this.#buffer?.clear()
    this.#last = null
  }

  /** Writes all there is, as long as the writer takes it. `true` when nothing is left. */
  flush (): boolean {
    const writer = this.#writer
    this.#isScheduled = false
    this.#batchIsFull = false
    if (writer === null) return false
    this.#writeCollected(writer)
    while (!writer.isBlocked) {
      const bytes = this.#nextBytes(this.#limit)
      if (bytes === null) return true
      this.#write(writer, bytes)
    }
    writer.awaitDrain()
    return false
  }

  onceWritten (callback: () => void): void {
    this.#writer?.onceWritten(callback)
  }

  release (): void {
    this.#writer?.release()
  }

  #checkFree (writer: Writer): boolean {
    if (!this.#canWrite) this.#canWrite = !this.hasWaiting && !writer.isBlocked
    return this.#canWrite
  }

  #setDue (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#batch.add(this.#owner)
  }

  #writeCollected (writer: Writer): void {
    const bytes = this.#frames === null ? this.#frame : this.#batch.join(this.#frames)
    if (bytes === null) return
    this.#events += this.#frames?.length ?? 1
    this.#frame = null
    this.#frames = null
    this.#collectedBytes = 0
    this.#write(writer, bytes)
  }

  #write (writer: Writer, bytes: Bytes): void {
    this.#lastWrite = this.#batch.now
    this.#bytes += bytes.size
    this.#canWrite = false
    writer.write(bytes)
    this.#checkFree(writer)
  }

  /**
   * What of those that wait leaves next: no more than `limit` bytes, but for a frame that is larger, so that the others
   * can still be dropped or replaced.
   */
  #nextBytes (limit: number): Bytes | null {
    const frame = this.#buffer?.shift()
    if (frame === undefined) {
      const last = this.#last
      this.#last = null
      return last
    }
    this.#events++
    if (!this.hasWaiting || frame.size >= limit) return frame
    return this.#batch.join(this.#shiftMore(frame, limit))
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
