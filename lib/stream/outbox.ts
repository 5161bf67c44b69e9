import type { AsyncResource } from 'node:async_hooks'
import type { Writable } from 'node:stream'
import type { BufferOptions } from '../options.ts'
import type { WriteBatch } from '../server/write-batch.ts'
import type { Bytes, Frame } from '../wire/frame.ts'
import { BoundedQueue } from './bounded-queue.ts'
import type { FrameKey } from './bounded-queue.ts'
import { Writer } from './writer.ts'
import type { WriterOwner } from './writer.ts'

/** The owner of an outbox: the stream of one connection. */
export interface OutboxOwner {
  /** The outbox is empty, and the destination takes more. It may be called again and again. */
  onWritten (): void
  /** Nothing can be written any more: the destination threw `error`, or, without one, somebody has ended it. */
  onWriterClosed (error?: unknown): void
}

/** Gives the key of a message for the policy `latest`, or `null` for a message that no other replaces. */
export type KeyOf = (value: unknown) => FrameKey | null

/**
 * The frames of one connection that have not been written yet. While the writer is not blocked, frames are collected
 * until the write batch ends, or until they fill one write. While the writer is blocked, frames are queued, and the
 * overflow policy applies to the queue.
 */
export class Outbox implements WriterOwner {
  readonly #options: BufferOptions
  readonly #batch: WriteBatch
  readonly #owner: OutboxOwner
  readonly #keyOf: KeyOf | null
  #writer: Writer | null = null
  /** The writer's high-water mark, in bytes. */
  #limit = 0
  /** Nothing is queued, and the writer was not blocked after its last write: there is no need to ask it per frame. */
  #canWrite = false
  /** The frames collected for this batch: none, one, or several. */
  #frame: Frame | null = null
  #frames: Frame[] | null = null
  #collectedBytes = 0
  /** This batch has written a full high-water mark: a pulled source pauses until the next one. */
  #batchIsFull = false
  /** The queue is made when a frame is first queued, as most connections never need one. */
  #queue: BoundedQueue | null = null
  /** The frame that is written when nothing is queued any more. */
  #finalFrame: Frame | null = null
  /** The batch will flush this outbox. */
  #isScheduled = false
  #events = 0
  #bytes = 0
  #lastWrite = 0

  constructor (options: BufferOptions, batch: WriteBatch, owner: OutboxOwner, keyOf: KeyOf | null) {
    this.#options = options
    this.#batch = batch
    this.#owner = owner
    this.#keyOf = keyOf
  }

  /** Whether frames are queued for a blocked writer. */
  get hasQueued (): boolean {
    return this.#queue !== null && !this.#queue.isEmpty
  }

  /** How many values of the source were written. */
  get events (): number {
    return this.#events
  }

  /** How many bytes of the body were written. */
  get bytes (): number {
    return this.#bytes
  }

  /** How many values of the source were dropped or replaced. */
  get dropped (): number {
    return this.#queue?.dropped ?? 0
  }

  /** How many of the written bytes are still held by Node. */
  get unsentBytes (): number {
    return this.#writer?.unsentBytes ?? 0
  }

  /** When a frame or a heartbeat was last written, in milliseconds of `performance.now()`. */
  get lastWrite (): number {
    return this.#lastWrite
  }

  /**
   * Begins to write to `destination`, with the first bytes of the body; the response headers leave with them. `context`
   * is the async context of a destination that is user code.
   *
   * @throws What the destination throws.
   */
  open (destination: Writable, first: Frame, context: AsyncResource | null): void {
    this.#writer = new Writer(destination, first, this, context)
    this.#lastWrite = Math.trunc(performance.now())
    this.#bytes = first.size
    this.#limit = this.#writer.highWaterMark
  }

  /**
   * Whether a pulled source should go on now. If not, the owner's `onWritten()` is called when it should. Before there
   * is a writer, one frame is wanted.
   */
  wantsMore (): boolean {
    if (this.#writer === null) return !this.hasQueued
    if (!this.#batchIsFull && this.#checkWritable(this.#writer)) return true
    this.#schedule()
    return false
  }

  /**
   * Sends the frame of a value that its source pushes. While the writer is blocked the overflow policy applies; `false`
   * means that the policy closes the connection.
   */
  send (frame: Frame, value: unknown): boolean {
    if (this.#writer !== null && this.#checkWritable(this.#writer)) {
      this.#collect(this.#writer, frame)
      return true
    }
    if (this.#writer?.isEnded === true) {
      this.#owner.onWriterClosed()
      return true
    }
    this.#schedule()
    this.#queue ??= new BoundedQueue(this.#options)
    return this.#queue.offer(frame, this.unsentBytes, this.#keyOf === null ? null : this.#keyOf(value))
  }

  /**
   * Sends the frame of a value that was pulled. No policy applies: the source waits for this client, so that at most
   * this one frame is queued, however small `maxBytes` and however large the destination's own buffer.
   */
  sendPulled (frame: Frame): void {
    if (this.#writer !== null && this.#checkWritable(this.#writer)) return this.#collect(this.#writer, frame)
    this.#schedule()
    this.#queue ??= new BoundedQueue(this.#options)
    this.#queue.push(frame)
  }

  /** Writes a frame that is no value of the source, unless something else is about to be written. */
  sendWhenIdle (frame: Frame): void {
    const writer = this.#writer
    if (writer !== null && this.#frame === null && this.#checkWritable(writer)) this.#write(writer, frame)
    this.#lastWrite = Math.trunc(performance.now())
  }

  /** Sets the frame that is written behind everything that is queued. */
  setFinalFrame (frame: Frame | null): void {
    this.#finalFrame = frame
  }

  /** Discards every frame that has not been written. */
  clear (): void {
    this.#frame = null
    this.#frames = null
    this.#queue?.clear()
    this.#finalFrame = null
  }

  /** Writes what is queued, as long as the writer is not blocked; then calls the owner. */
  flush (): void {
    const writer = this.#writer
    this.#isScheduled = false
    this.#batchIsFull = false
    if (writer === null) return
    this.#writeCollected(writer)
    while (!writer.isBlocked) {
      const bytes = this.#nextBytes(this.#limit)
      if (bytes === null) return this.#owner.onWritten()
      this.#write(writer, bytes)
    }
    writer.awaitDrain()
  }

  onFlushError (error: unknown): void {
    this.#owner.onWriterClosed(error)
  }

  onWriterClosed (error?: unknown): void {
    this.#owner.onWriterClosed(error)
  }

  /** Calls back when the destination has handed on every written byte, or cannot any more. */
  onceHandedOn (callback: () => void): void {
    this.#writer?.onceHandedOn(callback)
  }

  /** Removes the writer's listeners. */
  release (): void {
    this.#writer?.release()
  }

  #checkWritable (writer: Writer): boolean {
    if (!this.#canWrite) this.#canWrite = !this.hasQueued && !writer.isBlocked
    return this.#canWrite
  }

  #schedule (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#batch.add(this)
  }

  #collect (writer: Writer, frame: Frame): void {
    if (this.#frame === null) this.#frame = frame
    else if (this.#frames === null) this.#frames = [this.#frame, frame]
    else this.#frames.push(frame)
    this.#collectedBytes += frame.size
    if (this.#collectedBytes < this.#limit) {
      this.#schedule()
    } else {
      this.#batchIsFull = true
      this.#writeCollected(writer)
    }
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
    this.#checkWritable(writer)
  }

  /**
   * Takes what leaves the queue next: at most `limit` bytes, or one frame that is larger, so that the frames behind can
   * still be dropped or replaced. The final frame comes last.
   */
  #nextBytes (limit: number): Bytes | null {
    const frame = this.#queue?.shift()
    if (frame === undefined) {
      const final = this.#finalFrame
      this.#finalFrame = null
      return final
    }
    this.#events++
    if (!this.hasQueued || frame.size >= limit) return frame
    return this.#batch.join(this.#shiftMore(frame, limit))
  }

  #shiftMore (first: Frame, limit: number): Frame[] {
    const frames = [first]
    for (let size = first.size; size < limit;) {
      const frame = this.#queue?.shift()
      if (frame === undefined) break
      this.#events++
      size += frame.size
      frames.push(frame)
    }
    return frames
  }
}
