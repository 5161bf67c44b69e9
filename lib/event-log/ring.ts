import type { LogEntry } from './entry.ts'

/** How much of a log is held. */
export interface Bounds {
  readonly maxEvents: number
  readonly maxBytes: number
  /** Milliseconds. */
  readonly maxAge: number
}

/** The newest entries of a log. Each has a position, which rises by one and stays when older ones are let go of. */
export class Ring {
  readonly #bounds: Bounds
  #entries: Array<LogEntry | undefined>
  /** Of the array, where the oldest is. */
  #head: number
  /** The position of the oldest. */
  #start: number
  #bytes: number
  #lastReleased: LogEntry | null

  constructor (bounds: Bounds) {
    this.#bounds = bounds
    this.#entries = []
    this.#head = 0
    this.#start = 0
    this.#bytes = 0
    this.#lastReleased = null
  }

  /** The position of the oldest. */
  get start (): number {
    return this.#start
  }

  /** The position of the one that comes next. */
  get end (): number {
    return this.#start + this.#entries.length - this.#head
  }

  /** The newest of those that were let go of. */
  get lastReleased (): LogEntry | null {
    return this.#lastReleased
  }

  /** The entry at a position, if it is held. */
  at (position: number): LogEntry | undefined {
    return position < this.#start ? undefined : this.#entries[this.#head + position - this.#start]
  }

  push (entry: LogEntry): void {
    this.#entries.push(entry)
    this.#bytes += entry.size
    while (this.end - this.#start > this.#bounds.maxEvents) this.#shift()
    // However large, the newest is held.
    while (this.#bytes > this.#bounds.maxBytes && this.end - this.#start > 1) this.#shift()
    this.expire()
  }

  /** Lets go of what is too old. */
  expire (): void {
    const { maxAge } = this.#bounds
    if (maxAge === Infinity) return
    const oldest = Date.now() - maxAge
    for (let entry = this.at(this.#start); entry !== undefined && entry.time < oldest; entry = this.at(this.#start)) {
      this.#shift()
    }
  }

  #shift (): void {
    // It is called only where there is one.
    const entry = this.#entries[this.#head] as LogEntry
    this.#bytes -= entry.size
    this.#lastReleased = entry
    this.#entries[this.#head++] = undefined
    this.#start++
    // Array.prototype.shift() would move all that is behind, each time.
    if (this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }
}
