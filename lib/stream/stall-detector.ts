/** Tells a stalled connection, on which pending bytes make no progress, from one that is slow. */
export class StallDetector {
  readonly #timeout: number
  #sentBytes = 0
  #lastProgress = performance.now()

  /** @param timeout How long bytes may be pending without progress, in milliseconds from now on. */
  constructor (timeout: number) {
    this.#timeout = timeout
  }

  /** Whether no byte has left Node for the timeout. `sentBytes` is how many have left since the stream began. */
  isStalled (sentBytes: number): boolean {
    const now = performance.now()
    if (sentBytes > this.#sentBytes) this.#lastProgress = now
    this.#sentBytes = sentBytes
    return now - this.#lastProgress >= this.#timeout
  }
}
