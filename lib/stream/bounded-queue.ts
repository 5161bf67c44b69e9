import type { BufferOptions } from '../options.ts'
import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'
import { FrameQueue, LatestFrameQueue } from './frame-queue.ts'

/** The key by which a frame may replace another. */
export interface FrameKey {
  readonly key: unknown
  /**
   * The frame has an event id. It then goes to the end of the queue: in the place of the frame it replaces, a client
   * that resumes from its id would miss the frames in between.
   */
  readonly hasId: boolean
}

/** The queue of one client that is slower than its source, bounded in bytes by an overflow policy. */
export class BoundedQueue {
  readonly #options: BufferOptions
  readonly #queue: FrameQueue | LatestFrameQueue
  #dropped = 0

  constructor (options: BufferOptions) {
    this.#options = options
    this.#queue = typeof options.overflow === 'string' ? new FrameQueue() : new LatestFrameQueue()
  }

  get isEmpty (): boolean {
    return this.#queue.length === 0
  }

  /** How many frames were dropped or replaced. */
  get dropped (): number {
    return this.#dropped
  }

  /**
   * Queues a frame, or drops what the policy says. `unsentBytes` is how many bytes the destination still holds: they
   * count against the bound, but cannot be dropped. `false` means that the policy closes the connection.
   */
  offer (frame: Frame, unsentBytes: number, key: FrameKey | null): boolean {
    const queue = this.#queue
    if (queue instanceof LatestFrameQueue) return this.#offerLatest(queue, frame, unsentBytes, key)

    const room = this.#options.maxBytes - unsentBytes - sizeOf(frame)
    // One frame is always taken where nothing is queued or unsent, however large it is.
    if (queue.bytes > room && unsentBytes + queue.bytes > 0) {
      if (this.#options.overflow === 'disconnect') return false
      if (this.#options.overflow === 'drop-newest' || room < 0) {
        this.#dropped++
        return true
      }
      while (queue.bytes > room) {
        queue.shift()
        this.#dropped++
      }
    }
    queue.push(frame)
    return true
  }

  /** Queues a frame to which no policy applies. */
  push (frame: Frame): void {
    this.#queue.push(frame)
  }

  #offerLatest (queue: LatestFrameQueue, frame: Frame, unsentBytes: number, key: FrameKey | null): boolean {
    const replaced = key === null ? 0 : queue.bytesOf(key.key)
    const pending = unsentBytes + queue.bytes - replaced
    if (pending > 0 && pending + sizeOf(frame) > this.#options.maxBytes) return false
    if (replaced > 0) this.#dropped++
    if (key === null) queue.push(frame)
    else queue.push(frame, key.key, key.hasId)
    return true
  }

  shift (): Frame | undefined {
    return this.#queue.shift()
  }

  /** Discards all frames, which then count as neither sent nor dropped. */
  clear (): void {
    while (this.#queue.shift() !== undefined);
  }
}
