import { JoinedFrames } from '../wire/frame.ts'
import type { Bytes, Frame } from '../wire/frame.ts'

/** What is owed to a connection since this turn. */
export interface Flushable {
  flush (): void
}

/**
 * Writes once per turn (one drain of the microtask queue) and connection what the turn's events are, and joins them
 * once for all connections that owe the same.
 */
export class WriteBatch {
  #flushables: Flushable[]
  #cleanUps: Array<() => void>
  #joined: JoinedFrames | null
  #joinedFrames: readonly Frame[]
  #isScheduled: boolean
  /** `0` where nobody has asked. */
  #now: number
  readonly #end: () => void

  constructor () {
    this.#flushables = []
    this.#cleanUps = []
    this.#joined = null
    this.#joinedFrames = []
    this.#isScheduled = false
    this.#now = 0
    const flush = () => this.flush()
    // A tick runs when the microtasks have run, and those that they queued.
    this.#end = () => process.nextTick(flush)
  }

  /** Whole milliseconds by `performance.now()`, the same for all of a turn: to ask for each write would cost more. */
  get now (): number {
    if (this.#now === 0) {
      this.#now = Math.trunc(performance.now())
      this.#schedule()
    }
    return this.#now
  }

  add (flushable: Flushable): void {
    this.#flushables.push(flushable)
    this.#schedule()
  }

  /** Calls back when all that was added in this turn has been flushed. */
  atEnd (cleanUp: () => void): void {
    this.#cleanUps.push(cleanUp)
    this.#schedule()
  }

  flush (): void {
    const flushables = this.#flushables
    const cleanUps = this.#cleanUps
    this.#flushables = []
    this.#cleanUps = []
    this.#isScheduled = false
    this.#now = Math.trunc(performance.now())
    for (const flushable of flushables) flushable.flush()
    for (const cleanUp of cleanUps) cleanUp()
    this.#joined = null
    this.#joinedFrames = []
    this.#now = 0
  }

  #schedule (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(this.#end)
  }

  join (frames: readonly Frame[]): Bytes {
    if (this.#joined === null || !isSame(frames, this.#joinedFrames)) {
      this.#joined = new JoinedFrames(frames)
      this.#joinedFrames = frames
    }
    return this.#joined
  }
}

function isSame (a: readonly Frame[], b: readonly Frame[]): boolean {
  return a.length === b.length && a.every((frame, i) => frame === b[i])
}
