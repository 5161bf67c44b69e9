import { callEach } from '../isolate.ts'

/** A source that waits until its sink wants more. */
export interface PausedSource {
  continue (): void
  /** Called with what `continue()` threw. Without it, the error becomes a warning of the process. */
  crash? (error: unknown): void
}

/** How many sources are continued before the event loop gets to other work: a hundred take some milliseconds. */
const SLICE = 100

/**
 * Continues paused sources, many of them in one turn of the event loop: sources that give the same messages, as readers
 * of one event log do, then share the frames that are encoded and joined in that turn.
 */
export class PausedSources {
  #sources: PausedSource[] = []
  readonly #continueSlice = (): void => {
    const slice = this.#sources.splice(0, SLICE)
    if (this.#sources.length > 0) setImmediate(this.#continueSlice)
    callEach(slice, (source) => source.continue(), (source, error) => {
      if (source.crash === undefined) throw error
      source.crash(error)
    })
  }

  /** Continues a source with the next `setImmediate`. */
  add (source: PausedSource): void {
    this.#sources.push(source)
    if (this.#sources.length === 1) setImmediate(this.#continueSlice)
  }
}
