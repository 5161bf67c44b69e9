import type { Writable } from 'node:stream'

/** A destination that compresses keeps bytes back until it is flushed. */
type Destination = Writable & { flush?: () => void }

const NOTHING = Buffer.alloc(0)

/** A destination of frames: a response, or whatever an `onSend` hook put before it. */
export class Writer {
  readonly #destination: Destination
  readonly #onDrain: () => void
  #isBlocked: boolean

  /** `onDrain` is called when the destination takes more after it had been blocked. */
  constructor (destination: Writable, onDrain: () => void) {
    this.#destination = destination
    this.#isBlocked = false
    this.#onDrain = () => {
      this.#isBlocked = false
      onDrain()
    }
    destination.on('drain', this.#onDrain)
  }

  /** Over its high-water mark: what is written now would pile up in the destination. */
  get isBlocked (): boolean {
    return this.#isBlocked
  }

  write (bytes: Uint8Array): void {
    // Blocked until it says otherwise: it may ask for more before write() returns.
    this.#isBlocked = true
    if (this.#destination.write(bytes)) this.#isBlocked = false
    if (typeof this.#destination.flush === 'function') this.#destination.flush()
  }

  /** Calls back when all that was written has been handed on, or cannot be any more. */
  onceWritten (callback: () => void): void {
    this.#destination.write(NOTHING, callback)
  }

  end (): void {
    this.#destination.end()
  }

  release (): void {
    this.#destination.removeListener('drain', this.#onDrain)
  }
}
