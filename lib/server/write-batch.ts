import { callEach } from '../isolate.ts'
import { JoinedFrames } from '../wire/frame.ts'
import type { Bytes, Frame } from '../wire/frame.ts'

/** Something that writes when the batch ends. */
export interface Flushable {
  flush (): void
  /** Called with what `flush()` threw. */
  onFlushError (error: unknown): void
}

/**
 * Collects the writes of one turn of the event loop, by which is meant one drain of the microtask queue. Each
 * connection writes once per turn, however many events it is sent, and connections that are sent the same frames share
 * one buffer.
 */
export class WriteBatch {
  #flushables: Flushable[] = []
  #cleanUps: Array<() => void> = []
  /** The last result of `join`, and the frames that it was made of. */
  #joined: JoinedFrames | null = null
  #joinedFrames: readonly Frame[] = []
  #isScheduled = false
  /** The time that `now` gives, or `0` if it has not been read in this turn. */
  #now = 0
  readonly #flushBatch = (): void => this.flush()
  // A tick runs when the microtasks have run, and those that they queued.
  readonly #endTurn = (): void => process.nextTick(this.#flushBatch)

  /**
   * The time by `performance.now()`, in whole milliseconds. It is read once per turn: to read it for each write would
   * cost more.
   */
  get now (): number {
    if (this.#now === 0) {
      this.#now = Math.trunc(performance.now())
      this.#schedule()
    }
    return this.#now
  }

  /** Flushes `flushable` at the end of this turn. */
  add (flushable: Flushable): void {
    this.#flushables.push(flushable)
    this.#schedule()
  }

  /** Calls back when all that was added in this turn has been flushed. */
  atEnd (cleanUp: () => void): void {
    this.#cleanUps.push(cleanUp)
    this.#schedule()
  }

  /** Ends the batch now, and not at the end of this turn. */
  flush (): void {
    const flushables = this.#flushables
    const cleanUps = this.#cleanUps
    this.#flushables = []
    this.#cleanUps = []
    this.#isScheduled = false
    this.#now = Math.trunc(performance.now())
    callEach(flushables, flush, onFlushError)
    callEach(cleanUps, (cleanUp) => cleanUp())
    this.#joined = null
    this.#joinedFrames = []
    this.#now = 0
  }

  /** Joins frames to one buffer. Connections that join the same frames, one after the other, get the same one. */
  join (frames: readonly Frame[]): Bytes {
    if (this.#joined === null || !isSame(frames, this.#joinedFrames)) {
      this.#joined = new JoinedFrames(frames)
      this.#joinedFrames = frames
    }
    return this.#joined
  }

  #schedule (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(this.#endTurn)
  }
}

function flush (flushable: Flushable): void {
  flushable.flush()
}

function onFlushError (flushable: Flushable, error: unknown): void {
  flushable.onFlushError(error)
}

function isSame (a: readonly Frame[], b: readonly Frame[]): boolean {
  return a.length === b.length && a.every((frame, i) => frame === b[i])
}
