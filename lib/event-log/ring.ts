import { Fifo } from '../fifo.ts'
import type { LogEntry } from './entry.ts'

/** The bounds of what is held of a log. An entry that exceeds one of them is released, the oldest first. */
export interface Bounds {
  readonly maxEvents: number
  /** The bound on the entries' sizes together, in bytes. */
  readonly maxBytes: number
  /** The age, in milliseconds, above which an entry is released, or `Infinity`. */
  readonly maxAge: number
}

/**
 * The newest entries of a log, within its bounds. Each entry has a position, which is one more than that of the entry
 * before it and does not change when older entries are released.
 */
export class Ring {
  readonly #bounds: Bounds
  readonly #entries = new Fifo<LogEntry>()
  #start = 0
  /** The sizes of the entries together, in bytes. */
  #bytes = 0
  #lastReleased: LogEntry | null = null

  constructor (bounds: Bounds) {
    this.#bounds = bounds
  }

  /** The position of the oldest entry that is held. */
  get start (): number {
    return this.#start
  }

  /** The position that the next entry will have. */
  get end (): number {
    return this.#start + this.#entries.length
  }

  /** The newest of the entries that were released, or `null` if none was. */
  get lastReleased (): LogEntry | null {
    return this.#lastReleased
  }

  /** The entry at a position, or `undefined` if it was released or has not come yet. */
  at (position: number): LogEntry | undefined {
    return this.#entries.at(position - this.#start)
  }

  /** Adds an entry and releases those that then exceed a bound. The newest is held however large it is. */
  push (entry: LogEntry): void {
    this.#entries.push(entry)
    this.#bytes += entry.size
    while (this.#entries.length > this.#bounds.maxEvents) this.#release()
    while (this.#bytes > this.#bounds.maxBytes && this.#entries.length > 1) this.#release()
    this.expire()
  }

  /** Releases the entries that are too old. */
  expire (): void {
    const { maxAge } = this.#bounds
    if (maxAge === Infinity) return
    const oldest = Date.now() - maxAge
    for (let entry = this.#entries.at(0); entry !== undefined && entry.time < oldest; entry = this.#entries.at(0)) {
      this.#release()
    }
  }

  /** Releases the oldest entry. It is called only while there is one. */
  #release (): void {
    const entry = this.#entries.shift() as LogEntry
    this.#bytes -= entry.size
    this.#lastReleased = entry
    this.#start++
  }
}
