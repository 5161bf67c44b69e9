/** Tells a connection from which nothing leaves, though bytes wait, from one that is slow. */
export class StallDetector {
  readonly #timeout: number
  #leftBytes: number
  #lastProgress: number

  /** Of a connection on which bytes wait from now on. `timeout` is in milliseconds. */
  constructor (timeout: number) {
    this.#timeout = timeout
    this.#leftBytes = 0
    this.#lastProgress = performance.now()
  }

  /** `leftBytes` is how many bytes have left Node since the beginning. */
  isStalled (leftBytes: number): boolean {
    const now = performance.now()
    if (leftBytes > this.#leftBytes) this.#lastProgress = now
    this.#leftBytes = leftBytes
    return now - this.#lastProgress >= this.#timeout
  }
}
