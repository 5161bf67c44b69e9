import { Readable } from 'node:stream'
import { from, observable, Subscriber } from 'rxjs'
import type { ObservableInput, Observer, Unsubscribable } from 'rxjs'
import type { SseContext } from '../types/index.ts'
import type { EventLog } from '../types/log.ts'
import { FST_SSE_INVALID_SOURCE, describe } from './errors.ts'
import { hasMethod, isPromise } from './is.ts'
import { PulledSource, pullerOf } from './pull.ts'

/** Where the values of a source go. */
export interface Sink extends Observer<unknown> {
  /** Whether a source that can wait should go on; if not, it is resumed when it should. */
  askForMore (): boolean
  /** Comes before all else, so that a source can be let go of while it is being subscribed to. */
  subscribed (subscription: Subscription): void
}

export interface Subscription extends Unsubscribable {
  /** It could give more, and waits until the sink wants it. Observables have no way to wait. */
  readonly isPaused?: boolean
  /** The sink wants more again. */
  resume? (): void
}

/** Throws `FST_SSE_INVALID_SOURCE` for what cannot be streamed, as far as can be told before it is used. */
export function checkSource (source: unknown): void {
  if (typeof source !== 'function' && !isPromise(source) && !isInput(source) && !isLog(source)) {
    throw invalidSource(
      source, 'give an Observable, an iterable, a stream of objects, a promise of one, or a factory of one')
  }
}

/** The same, for what the handler of a route with the option `sse` has returned. */
export function checkReturned (source: unknown): void {
  if (typeof source === 'function' || isInput(source) || isLog(source)) return
  throw invalidSource(
    source, 'return an Observable, an iterable, a stream of objects or a factory of one, or answer with reply.send() ' +
    'and return the reply', 'a handler of a route with the option "sse" returned it: ')
}

/** What `value` is, if it can only have been meant for a stream: nothing else could be answered with it. */
export function streamOnlyKind (value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null
  if (hasMethod(value, observable)) return 'an Observable'
  return GENERATOR.test(Object.prototype.toString.call(value)) ? 'a generator' : null
}

const GENERATOR = /^\[object (?:Async)?Generator\]$/

/**
 * Subscribes to anything accepted: calls a factory, waits for a promise, pulls from what can wait. Never throws: what a
 * factory, a source or its teardown throws, and what a factory gives that is no source, goes to `sink.error`.
 */
export function subscribe (source: unknown, context: SseContext, sink: Sink): void {
  try {
    const given = openLog(isFactory(source) ? callFactory(source, context) : source, context)
    if (isInput(given)) subscribeInput(given, sink)
    else sink.subscribed(new PromisedSource(given, context, sink))
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
  if (puller === null) {
    const subscriber = new SinkSubscriber(sink)
    sink.subscribed(subscriber)
    // A factory may have ended its own stream.
    if (!subscriber.closed) from(input as ObservableInput<unknown>).subscribe(subscriber)
  } else {
    const pulled = new PulledSource(puller, sink)
    sink.subscribed(pulled)
    pulled.resume()
  }
}

/** What RxJS makes of an observer, but made first: a synchronous Observable can see that it is closed. */
class SinkSubscriber extends Subscriber<unknown> {
  readonly #sink: Sink

  constructor (sink: Sink) {
    super()
    this.#sink = sink
  }

  protected override _next (value: unknown): void {
    this.#sink.next(value)
  }

  protected override _error (error: unknown): void {
    this.#sink.error(error)
    this.unsubscribe()
  }

  protected override _complete (): void {
    this.#sink.complete()
    this.unsubscribe()
  }
}

function callFactory (factory: (context: SseContext) => unknown, context: SseContext): unknown {
  const given = factory(context)
  if (isPromise(given) || isInput(given) || isLog(given)) return given
  throw invalidSource(
    given, 'the factory returned it; return an Observable, an iterable, a stream of objects, or a promise of one')
}

/** A promise of a source is that source, which takes its place, and a promise of a value is a source of that value. */
class PromisedSource implements Subscription {
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

function isFactory (value: unknown): value is (context: SseContext) => unknown {
  return typeof value === 'function' && !isInput(value)
}

/** What can be subscribed to or pulled from, but for promises, strings and bytes. */
function isInput (value: unknown): value is object {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || isBytes(value)) return false
  return hasMethod(value, observable) || hasMethod(value, Symbol.asyncIterator) || hasMethod(value, Symbol.iterator) ||
    hasMethod(value, 'getReader') || isArrayLike(value)
}

/** A log is read from where the client left off. */
function openLog (source: unknown, { lastEventId }: SseContext): object | PromiseLike<unknown> {
  if (!isLog(source)) return source as object
  const events: unknown = source.after(lastEventId)
  if (isInput(events) || isPromise(events)) return events
  throw invalidSource(events, 'after() of an event log returned it; return an async iterable')
}

function isLog (value: unknown): value is EventLog {
  return typeof value === 'object' && value !== null && hasMethod(value, 'append') && hasMethod(value, 'after')
}

function isArrayLike (value: object): boolean {
  return typeof value === 'object' && 'length' in value && Number.isInteger(value.length)
}

function isBytes (value: unknown): boolean {
  if (value instanceof Readable) return !value.readableObjectMode
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer
}

function isMessageLike (value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('data' in value || 'type' in value || 'id' in value)
}

function invalidSource (value: unknown, hint: string, origin = ''): Error {
  if (typeof value === 'string') hint = 'it would be sent character by character: give an Observable of it, of(string)'
  else if (isMessageLike(value)) hint = 'it is one message: give an Observable of it, of(message)'
  else if (isBytes(value)) hint = 'bytes have no events in them: parse them into messages, or answer with reply.send()'
  return new FST_SSE_INVALID_SOURCE(describe(value), origin + hint)
}
