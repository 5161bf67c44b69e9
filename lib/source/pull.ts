import { Readable } from 'node:stream'
import type { ReadableStreamReadResult } from 'node:stream/web'
import { hasMethod, isPromise } from '../duck-type.ts'
import { isObservable } from './observable.ts'
import type { Sink, SourceSubscription } from './sink.ts'

/** The method of a source that makes its own puller. */
export const kPuller = Symbol('fastify-rxjs-sse.puller')

/** A way to pull a source: it gives one value for each call of `next`, or in its own time. */
export interface Puller {
  /**
   * Gives the next value, a promise of it, or `null` if there is none yet: then `onReady` is called when there may be.
   */
  next (): IteratorResult<unknown> | Promise<IteratorResult<unknown> | ReadableStreamReadResult<unknown>> | null
  /** Releases the source, of which no more values are wanted. A promise that it returns may reject. */
  cancel (): unknown
  /** Set by whoever pulls. */
  onReady?: () => void
}

/** Makes the puller of a source; `null` for an Observable, which cannot be pulled. */
export function pullerOf (source: object): Puller | null {
  if (hasMethod(source, kPuller)) return (source as { [kPuller] (): Puller })[kPuller]()
  if (isObservable(source)) return null
  if (source instanceof Readable) {
    // The stream may fail before it is read from: until then, its iterator does not listen for errors.
    source.on('error', () => {})
    const iterator = source[Symbol.asyncIterator]()
    // The iterator's own return() would not run before the pending next() has settled.
    return { next: () => iterator.next(), cancel: () => source.destroy() }
  }
  if (hasMethod(source, 'getReader')) {
    const reader = (source as ReadableStream).getReader()
    return { next: () => reader.read(), cancel: () => reader.cancel() }
  }
  if (hasMethod(source, Symbol.asyncIterator)) {
    return iteratorPuller((source as AsyncIterable<unknown>)[Symbol.asyncIterator]())
  }
  if (hasMethod(source, Symbol.iterator)) return iteratorPuller((source as Iterable<unknown>)[Symbol.iterator]())
  // An array-like object: it has a length, and no iterator.
  return iteratorPuller(Array.prototype.values.call(source))
}

function iteratorPuller (iterator: Iterator<unknown> | AsyncIterator<unknown>): Puller {
  return { next: () => iterator.next(), cancel: () => iterator.return?.() }
}

/** A subscription to a source that can wait: it takes one value at a time, and only while the sink wants more. */
export class PulledSource implements SourceSubscription {
  readonly #puller: Puller
  readonly #sink: Sink
  /** Whether a value has been asked for that has not come yet. */
  #isPulling = false
  /** Whether the source has ended, or has been released. */
  #isClosed = false

  constructor (puller: Puller, sink: Sink) {
    this.#puller = puller
    this.#sink = sink
    puller.onReady = () => {
      this.#isPulling = false
      this.continue()
    }
  }

  get isPaused (): boolean {
    return !this.#isPulling && !this.#isClosed
  }

  continue (): void {
    if (this.#isPulling) return
    this.#isPulling = true
    try {
      while (!this.#isClosed && this.#sink.wantsMore()) {
        const result = this.#puller.next()
        if (result === null) return
        if (isPromise(result)) {
          result.then((settled) => this.#settled(settled), (error: unknown) => this.#failed(error))
          return
        }
        this.#take(result)
      }
    } catch (error) {
      this.#failed(error)
    }
    this.#isPulling = false
  }

  unsubscribe (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const result = this.#puller.cancel()
    if (isPromise(result)) result.then(undefined, (error: unknown) => this.#sink.error(error))
  }

  #settled (result: { done?: boolean | undefined, value?: unknown }): void {
    this.#isPulling = false
    if (this.#isClosed) return
    this.#take(result)
    this.continue()
  }

  #take ({ done, value }: { done?: boolean | undefined, value?: unknown }): void {
    if (done !== true) return this.#sink.next(value)
    this.#isClosed = true
    this.#sink.complete()
  }

  #failed (error: unknown): void {
    this.#isPulling = false
    if (this.#isClosed) return
    this.#isClosed = true
    this.#sink.error(error)
  }
}
