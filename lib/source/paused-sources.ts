/** What waited until its client takes more. */
export interface PausedSource {
  continue (): void
}

/** More would keep the event loop from everything else for more than some milliseconds. */
const SLICE = 100

/**
 * Lets sources go on that have waited, many in one turn: those that are where others are share what is encoded and
 * joined in it.
 */
export class PausedSources {
  #waiting: PausedSource[]
  readonly #continueSlice: () => void

  constructor () {
    this.#waiting = []
    this.#continueSlice = () => {
      const slice = this.#waiting.splice(0, SLICE)
      if (this.#waiting.length > 0) setImmediate(this.#continueSlice)
      for (const source of slice) source.continue()
    }
  }

  add (source: PausedSource): void {
    this.#waiting.push(source)
    if (this.#waiting.length === 1) setImmediate(this.#continueSlice)
  }
}
