/** How often a connection is looked at within the timeout. */
const LOOKS = 10

/** Tells a connection from which nothing leaves, though bytes wait, from one that is slow. */
export class StallDetector {
  readonly #timeout: number
  #leftBytes: number
  #lastProgress: number
  #nextLook: number

  /** Times are in milliseconds, by `performance.now()`. */
  constructor (timeout: number) {
    this.#timeout = timeout
    this.#leftBytes = 0
    this.#lastProgress = performance.now()
    this.#nextLook = this.#lastProgress + timeout / LOOKS
  }

  get nextLook (): number {
    return this.#nextLook
  }

  /** Of `writtenBytes` since the beginning, `busyBytes` have not left Node yet. */
  isStalled (writtenBytes: number, busyBytes: number): boolean {
    const now = performance.now()
    const leftBytes = writtenBytes - busyBytes
    if (busyBytes === 0 || leftBytes > this.#leftBytes) this.#lastProgress = now
    this.#leftBytes = leftBytes
    this.#nextLook = now + this.#timeout / LOOKS
    return now - this.#lastProgress >= this.#timeout
  }
}
