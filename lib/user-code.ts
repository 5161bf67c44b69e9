import { AsyncResource } from 'node:async_hooks'

/** Code of the user's: it runs in the async context of the call that made its stream, and may throw anywhere. */
export class UserCode {
  readonly #context: AsyncResource

  constructor () {
    this.#context = new AsyncResource('SseStream')
  }

  run<Args extends unknown[], Result> (fn: (...args: Args) => Result, ...args: Args): Result {
    return this.#context.runInAsyncScope(fn, undefined, ...args)
  }

  /** What a callback throws, or rejects with if it is async, goes to `onThrow`. */
  call (callback: () => unknown, onThrow: (error: unknown) => void): void {
    try {
      const result = this.run(callback)
      if (result instanceof Promise) result.catch(onThrow)
    } catch (error) {
      onThrow(error)
    }
  }
}
