import { Readable } from 'node:stream'
import type { SseContext } from '../../types/index.ts'
import { isPromise } from '../duck-type.ts'
import { invalidSource, isBytes, isFactory, isInput, isLog } from './kinds.ts'
import { subscribeToObservable } from './observable.ts'
import { PulledSource, pullerOf } from './pull.ts'
import type { Sink, SourceSubscription } from './sink.ts'

/**
 * Subscribes to a source of any kind: calls a factory, waits for a promise, pulls a source that can wait. It never
 * throws: `sink.error` is called with what a factory, a source or its teardown throws, and with a
 * `FST_SSE_INVALID_SOURCE` where a factory or a promise gives no source.
 */
export function subscribe (source: unknown, context: SseContext, sink: Sink): void {
  try {
    const given = openLog(isFactory(source) ? callFactory(source, context) : source, context)
    if (isInput(given)) subscribeInput(given, sink)
    else sink.onSubscribe(new PromisedSource(given, context, sink))
  } catch (error) {
    sink.error(error)
  }
}

/**
 * Cancels an eager source (a stream, or a promise of one) that will not be subscribed to. Lazy sources need nothing.
 */
export function discard (source: unknown): void {
  if (source instanceof Readable) source.on('error', () => {}).destroy()
  else if (isPromise(source)) source.then(discard, () => {})
  else if (source instanceof ReadableStream) source.cancel().catch(() => {})
}

function subscribeInput (input: object, sink: Sink): void {
  const puller = pullerOf(input)
  if (puller === null) return subscribeToObservable(input, sink)
  const pulled = new PulledSource(puller, sink)
  sink.onSubscribe(pulled)
  pulled.continue()
}

function callFactory (factory: (context: SseContext) => unknown, context: SseContext): unknown {
  const given = factory(context)
  if (isPromise(given) || isInput(given) || isLog(given)) return given
  throw invalidSource(
    given, 'the factory returned it; return an Observable, an iterable, a stream of objects, or a promise of one')
}

/**
 * A subscription to what a promise resolves to: a source, whose own subscription then takes the place of this one, or a
 * value, which is emitted as the only one.
 */
class PromisedSource implements SourceSubscription {
  readonly #context: SseContext
  readonly #sink: Sink
  #isClosed = false

  constructor (promise: unknown, context: SseContext, sink: Sink) {
    this.#context = context
    this.#sink = sink
    // The method then() of a thenable may throw, and need not return a promise: Promise.resolve() allows for both.
    Promise.resolve(promise).then((source) => this.#open(source), (error: unknown) => {
      if (!this.#isClosed) sink.error(error)
    })
  }

  unsubscribe (): void {
    this.#isClosed = true
  }

  #open (source: unknown): void {
    if (this.#isClosed) return discard(source)
    try {
      if (isInput(source)) return subscribeInput(source, this.#sink)
      if (isLog(source)) return subscribe(source, this.#context, this.#sink)
      if (source === undefined || typeof source === 'function' || isBytes(source)) {
        throw invalidSource(source, 'a promise gave it; give an Observable, an iterable or a stream of objects')
      }
      this.#sink.next(source)
      this.#sink.complete()
    } catch (error) {
      this.#sink.error(error)
    }
  }
}

/** Reads an event log from the last event that the client has seen. Another source is returned as it is. */
function openLog (source: unknown, { lastEventId }: SseContext): object | PromiseLike<unknown> {
  if (!isLog(source)) return source as object
  const events: unknown = source.after(lastEventId)
  if (isInput(events) || isPromise(events)) return events
  throw invalidSource(events, 'after() of an event log returned it; return an async iterable')
}
