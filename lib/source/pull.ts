import { Readable } from 'node:stream'
import type { ReadableStreamReadResult } from 'node:stream/web'
import { hasMethod, isPromise } from '../duck-type.ts'
import { isObservable } from './observable.ts'
import type { Sink, SourceSubscription } from './sink.ts'

/** Where a source has a puller of its own. */
export const kPuller = Symbol('fastify-rxjs-sse.puller')

/** How a source is asked for its next value, and how it is told that nobody will ask any more. */
export interface Puller {
  /** `null` where there is none yet: `onReady` is called when there may be. */
  next (): IteratorResult<unknown> | Promise<IteratorResult<unknown> | ReadableStreamReadResult<unknown>> | null
  cancel (): unknown
  onReady?: () => void
}

/** A way to pull from `source`, or `null` if there is none: from an Observable. */
export function pullerOf (source: object): Puller | null {
  if (hasMethod(source, kPuller)) return (source as { [kPuller] (): Puller })[kPuller]()
  if (isObservable(source)) return null
  if (source instanceof Readable) {
    // It may fail before it is read from, when its iterator does not listen yet.
    source.on('error', () => {})
    const iterator = source[Symbol.asyncIterator]()
    // The iterator's own return() would wait for the value that is being waited for.
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
  return iteratorPuller(Array.prototype.values.call(source))
}

function iteratorPuller (iterator: Iterator<unknown> | AsyncIterator<unknown>): Puller {
  return { next: () => iterator.next(), cancel: () => iterator.return?.() }
}

/** Takes one value at a time from a source that can wait, and only while the sink wants more. */
export class PulledSource implements SourceSubscription {
  readonly #puller: Puller
  readonly #sink: Sink
  #isPulling: boolean
  #isClosed: boolean

  constructor (puller: Puller, sink: Sink) {
    this.#puller = puller
    this.#sink = sink
    this.#isPulling = false
    this.#isClosed = false
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
