import { hasMethod } from '../duck-type.ts'

/** What an Observable has to undo when it is unsubscribed from: a function, or a subscription. */
export type Teardown = (() => void) | { unsubscribe (): void, readonly closed?: boolean }

export function isTeardown (value: unknown): value is Teardown {
  return typeof value === 'function' || (typeof value === 'object' && value !== null && hasMethod(value, 'unsubscribe'))
}

/** Whether a teardown is a subscription that has ended, and so has nothing left to undo. */
export function isClosed (teardown: Teardown): boolean {
  return typeof teardown !== 'function' && teardown.closed === true
}

export function runTeardown (teardown: Teardown): void {
  if (typeof teardown === 'function') teardown()
  else teardown.unsubscribe()
}

/** After how many additions a list at least looks for subscriptions that have ended. */
const SWEEP_AFTER = 8

/**
 * Teardowns that come and go, such as the inner subscriptions of `mergeMap`. Nothing tells the list that one of them
 * has ended: it looks for these after as many additions as it holds teardowns, so that an addition costs no more when
 * there are many.
 */
export class TeardownList {
  #teardowns: Teardown[] = []
  #addsUntilSweep = SWEEP_AFTER

  get length (): number {
    return this.#teardowns.length
  }

  add (teardown: Teardown): void {
    if (this.#addsUntilSweep === 0) this.#sweep()
    this.#addsUntilSweep--
    // One place is enough for operators that subscribe to one inner Observable after the other.
    const last = this.#teardowns.at(-1)
    if (last !== undefined && isClosed(last)) this.#teardowns.pop()
    this.#teardowns.push(teardown)
  }

  remove (teardown: unknown): void {
    this.#teardowns = this.#teardowns.filter((one) => one !== teardown)
  }

  /**
   * Runs `first`, and then the list. Throws what one of them throws when all have run, or an `AggregateError` of
   * several.
   */
  run (first: Teardown | null): void {
    const errors: unknown[] = []
    for (const teardown of first === null ? this.#teardowns : [first, ...this.#teardowns]) {
      try {
        runTeardown(teardown)
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, 'several teardowns of an Observable threw')
  }

  #sweep (): void {
    this.#teardowns = this.#teardowns.filter((teardown) => !isClosed(teardown))
    this.#addsUntilSweep = Math.max(SWEEP_AFTER, this.#teardowns.length)
  }
}
