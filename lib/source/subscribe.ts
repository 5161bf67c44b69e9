import { Readable } from 'node:stream'
import type { SseContext } from '../../types/index.ts'
import { isPromise } from '../duck-type.ts'
import { invalidSource, isBytes, isFactory, isInput, isLog } from './kinds.ts'
import { subscribeToObservable } from './observable.ts'
import { PulledSource, pullerOf } from './pull.ts'
import type { Sink, SourceSubscription } from './sink.ts'

/**
 * Subscribes to anything accepted: calls a factory, waits for a promise, pulls from what can wait. Never throws: what a
 * factory, a source or its teardown throws, and what a factory gives that is no source, goes to `sink.error`.
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

/** Lets go of a source that nobody will subscribe to, where it is more than a description of what to do. */
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

/** A promise of a source is that source, which takes its place, and a promise of a value is a source of that value. */
class PromisedSource implements SourceSubscription {
  readonly #context: SseContext
  readonly #sink: Sink
  #isClosed: boolean

  constructor (promise: unknown, context: SseContext, sink: Sink) {
    this.#context = context
    this.#sink = sink
    this.#isClosed = false
    // A thenable's own then() may throw, and need not return anything.
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

/** A log is read from where the client left off. */
function openLog (source: unknown, { lastEventId }: SseContext): object | PromiseLike<unknown> {
  if (!isLog(source)) return source as object
  const events: unknown = source.after(lastEventId)
  if (isInput(events) || isPromise(events)) return events
  throw invalidSource(events, 'after() of an event log returned it; return an async iterable')
}
