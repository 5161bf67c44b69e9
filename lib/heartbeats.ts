import type { AsyncResource } from 'node:async_hooks'

export interface Beating {
  /** When something was last written, by `performance.now()`. */
  readonly lastWrite: number
  /** It was silent for the whole interval. */
  beat (): void
}

/** 5 000 writes in one tick block the process for a tenth of a second. */
const SLICE = 250

/** The heartbeats of all streams of one interval, on one timer. */
export class Heartbeats {
  readonly #interval: number
  readonly #context: AsyncResource
  readonly #streams: Set<Beating>
  #timer: NodeJS.Timeout | null

  /** The timer is made in `context`, so that no stream's request is kept by it or seen in another's. */
  constructor (interval: number, context: AsyncResource) {
    this.#interval = interval
    this.#context = context
    this.#streams = new Set()
    this.#timer = null
  }

  get size (): number {
    return this.#streams.size
  }

  add (stream: Beating): void {
    this.#streams.add(stream)
    // A stream that joins is due later than all that are here.
    if (this.#timer === null) this.#arm(this.#interval)
  }

  delete (stream: Beating): void {
    this.#streams.delete(stream)
    if (this.#streams.size === 0 && this.#timer !== null) {
      clearTimeout(this.#timer)
      this.#timer = null
    }
  }

  #arm (delay: number): void {
    this.#timer = this.#context.runInAsyncScope(() => setTimeout(() => this.#tick(), delay).unref())
  }

  #tick (): void {
    const now = performance.now()
    const due: Beating[] = []
    let next = this.#interval
    for (const stream of this.#streams) {
      const rest = stream.lastWrite + this.#interval - now
      // A timer's clock has whole milliseconds.
      if (rest < 1) due.push(stream)
      else if (rest < next) next = rest
    }
    // Streams that are due one after the other are taken together: at most a hundred looks at all of them an interval.
    this.#arm(Math.max(Math.ceil(next), this.#interval / 100))
    this.#beat(due, 0)
  }

  #beat (due: Beating[], start: number): void {
    const end = Math.min(start + SLICE, due.length)
    for (const stream of due.slice(start, end)) {
      if (this.#streams.has(stream)) stream.beat()
    }
    if (end < due.length) setImmediate(() => this.#beat(due, end))
  }
}
