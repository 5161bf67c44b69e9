import type { Writable } from 'node:stream'

/** A destination that compresses keeps bytes back until it is flushed. */
type Destination = Writable & { flush?: () => void }

/** How much is handed on at once: of one large write, nobody could tell that a slow client takes it little by little. */
const PIECE = 64 * 1024

const NOTHING = Buffer.alloc(0)

/** A destination of frames: a response, or whatever an `onSend` hook put before it. */
export class Writer {
  readonly #destination: Destination
  readonly #onDrain: () => void
  #isBlocked: boolean
  /** What of the last frame has not been handed on yet. */
  #rest: Uint8Array
  #written: number

  /** `onDrain` is called when the destination takes more after it had been blocked. */
  constructor (destination: Writable, onDrain: () => void) {
    this.#destination = destination
    this.#isBlocked = false
    this.#rest = NOTHING
    this.#written = 0
    this.#onDrain = () => {
      this.#isBlocked = false
      this.#handOn()
      if (!this.#isBlocked) onDrain()
    }
    destination.on('drain', this.#onDrain)
  }

  /** Over the destination's high-water mark: what is written now would pile up in it. */
  get isBlocked (): boolean {
    return this.#isBlocked
  }

  /** How many bytes have not left Node yet. */
  get busyBytes (): number {
    return this.#destination.writableLength + this.#rest.length
  }

  /** How many bytes were written since the beginning. */
  get writtenBytes (): number {
    return this.#written
  }

  /** Not to be called while it is blocked. */
  write (bytes: Uint8Array): void {
    this.#written += bytes.length
    this.#rest = bytes
    this.#handOn()
    if (typeof this.#destination.flush === 'function') this.#destination.flush()
  }

  /** Calls back when all that was written has been handed on, or cannot be any more. */
  onceWritten (callback: () => void): void {
    this.#destination.write(NOTHING, callback)
  }

  release (): void {
    this.#destination.removeListener('drain', this.#onDrain)
  }

  #handOn (): void {
    while (this.#rest.length > 0 && !this.#isBlocked) {
      const piece = this.#rest.length > PIECE ? this.#rest.subarray(0, PIECE) : this.#rest
      this.#rest = this.#rest === piece ? NOTHING : this.#rest.subarray(PIECE)
      // Blocked until it says otherwise: it may ask for more before write() returns.
      this.#isBlocked = true
      if (this.#destination.write(piece)) this.#isBlocked = false
    }
  }
}
