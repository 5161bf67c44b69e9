/** What waited until its client takes more. */
export interface Resumable {
  resume (): void
}

/** More would keep the event loop from everything else for more than some milliseconds. */
const SLICE = 100

/**
 * Lets sources go on that have waited, many in one turn: those that are where others are share what is encoded and
 * joined in it.
 */
export class Resumptions {
  #waiting: Resumable[]
  readonly #resume: () => void

  constructor () {
    this.#waiting = []
    this.#resume = () => {
      const slice = this.#waiting.splice(0, SLICE)
      if (this.#waiting.length > 0) setImmediate(this.#resume)
      for (const resumable of slice) resumable.resume()
    }
  }

  add (resumable: Resumable): void {
    this.#waiting.push(resumable)
    if (this.#waiting.length === 1) setImmediate(this.#resume)
  }
}
