import type { BufferOptions } from '../options.ts'
import { sizeOf } from '../wire/frame.ts'
import type { Frame } from '../wire/frame.ts'
import { FrameQueue, LatestFrameQueue } from './frame-queue.ts'

/** A frame that may replace another. */
export interface FrameKey {
  readonly key: unknown
  /** It has an id: in the place of an older frame, a client that resumes from it would miss those in between. */
  readonly hasId: boolean
}

/** What waits for one client that is slower than its source, within a bound. */
export class BoundedQueue {
  readonly #options: BufferOptions
  readonly #queue: FrameQueue | LatestFrameQueue
  #dropped: number

  constructor (options: BufferOptions) {
    this.#options = options
    this.#queue = typeof options.overflow === 'string' ? new FrameQueue() : new LatestFrameQueue()
    this.#dropped = 0
  }

  get isEmpty (): boolean {
    return this.#queue.length === 0
  }

  /** How many frames were dropped or replaced. */
  get dropped (): number {
    return this.#dropped
  }

  /**
   * Takes a frame, or drops what the policy says. `busy` is how many bytes the destination still holds: they count, but
   * cannot be dropped. Gives `false` where the connection must be.
   */
  offer (frame: Frame, busy: number, key: FrameKey | null): boolean {
    const queue = this.#queue
    if (queue instanceof LatestFrameQueue) return this.#offerLatest(queue, frame, busy, key)

    const room = this.#options.maxBytes - busy - sizeOf(frame)
    // However large, one frame is taken when nothing waits.
    if (queue.bytes > room && busy + queue.bytes > 0) {
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

  #offerLatest (queue: LatestFrameQueue, frame: Frame, busy: number, key: FrameKey | null): boolean {
    const replaced = key === null ? 0 : queue.bytesOf(key.key)
    const waiting = busy + queue.bytes - replaced
    if (waiting > 0 && waiting + sizeOf(frame) > this.#options.maxBytes) return false
    if (replaced > 0) this.#dropped++
    if (key === null) queue.push(frame)
    else queue.push(frame, key.key, key.hasId)
    return true
  }

  shift (): Frame | undefined {
    return this.#queue.shift()
  }

  /** Forgets what waits, which counts as neither sent nor dropped. */
  clear (): void {
    while (this.#queue.shift() !== undefined);
  }
}
