import { hasMethod } from '../duck-type.ts'
import { FST_SSE_INVALID_SOURCE } from '../errors.ts'
import { kindOf } from '../preview.ts'
import type { Sink, SourceSubscription } from './sink.ts'
import { TeardownList, isClosed, isTeardown, runTeardown } from './teardown.ts'
import type { Teardown } from './teardown.ts'

/**
 * Whether a value is an Observable: one of RxJS, one of another library that has the same interop method, or one of
 * the platform (https://wicg.github.io/observable/). The three are told apart by what they can do: a process may hold
 * several copies of RxJS, and none of them has to be version 7.
 */
export function isObservable (value: object): boolean {
  return interopKeyOf(value) !== undefined || isPlatformObservable(value)
}

/**
 * Subscribes to an Observable. What the method `subscribe` throws, or a teardown of an Observable that has ended its
 * stream while it was being subscribed to, is thrown on.
 *
 * @throws `FST_SSE_INVALID_SOURCE` if the interop method of `source` returns something without a method `subscribe`.
 */
export function subscribeToObservable (source: object, sink: Sink): void {
  const observable = openInterop(source)
  const subscription = isPlatformObservable(observable) ? new PlatformSubscription(sink) : new InteropSubscription(sink)
  // The sink has the subscription before the first value, at which it may unsubscribe.
  sink.onSubscribe(subscription)
  if (!subscription.closed) subscription.open(observable)
}

interface Subscribable {
  subscribe (observer: object, options?: { readonly signal: AbortSignal }): unknown
}

/**
 * The name of the interop method of `value`, if it has one. A library takes the name when it is loaded, and a polyfill
 * of `Symbol.observable` may have come later than RxJS: Observables of both names can exist in one process.
 */
function interopKeyOf (value: object): PropertyKey | undefined {
  const { observable } = Symbol as { readonly observable?: symbol }
  if (observable !== undefined && hasMethod(value, observable)) return observable
  return hasMethod(value, '@@observable') ? '@@observable' : undefined
}

function openInterop (source: object): Subscribable {
  const key = interopKeyOf(source)
  if (key === undefined) return source as Subscribable
  const observable = (source as Record<PropertyKey, () => unknown>)[key]?.()
  if (observable !== undefined && observable !== null && hasMethod(Object(observable), 'subscribe')) {
    return observable as Subscribable
  }
  throw new FST_SSE_INVALID_SOURCE(
    kindOf(observable), 'the interop method Symbol.observable of a source returned it; return an Observable')
}

/** Whether a value is an Observable of the platform, or of a polyfill: it has this tag, and no interop method. */
function isPlatformObservable (value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Observable]' && hasMethod(value, 'subscribe')
}

/**
 * A subscription to an Observable of the platform, which ends when the signal that it was given is aborted. What a
 * teardown of such an Observable throws is not thrown by `unsubscribe`: the platform reports it, in Node as an uncaught
 * exception.
 */
class PlatformSubscription implements SourceSubscription {
  readonly #sink: Sink
  readonly #controller = new AbortController()
  /** What `subscribe` returned: nothing on the platform, but a subscription where RxJS's Observables have its tag. */
  #teardown: Teardown | null = null

  constructor (sink: Sink) {
    this.#sink = sink
  }

  get closed (): boolean {
    return this.#controller.signal.aborted
  }

  open (observable: Subscribable): void {
    const sink = this.#sink
    const returned = observable.subscribe({
      next: (value: unknown) => sink.next(value),
      error: (error: unknown) => sink.error(error),
      complete: () => sink.complete()
    }, { signal: this.#controller.signal })
    if (!isTeardown(returned)) return
    if (this.closed) runTeardown(returned)
    else this.#teardown = returned
  }

  unsubscribe (): void {
    this.#controller.abort()
    const teardown = this.#teardown
    this.#teardown = null
    if (teardown !== null) runTeardown(teardown)
  }
}

/**
 * A subscription to an Observable of RxJS, or of a library with the same interop method, which is also its observer.
 *
 * RxJS 7 takes an observer that has `closed`, `add`, `remove` and `unsubscribe` for a subscriber of its own, and does
 * not wrap it: a synchronous Observable sees by `closed` that the stream has ended, and no error is caught only to be
 * thrown again as an uncaught exception. To extend the class `Subscriber` would do the same, and tie this plugin to one
 * copy of RxJS 7.
 *
 * The members are not private: RxJS 6 calls the three methods of an observer on an object that inherits from it.
 */
class InteropSubscription implements SourceSubscription {
  readonly sink: Sink
  closed = false
  /** Whether the Observable has completed or failed. What it still emits is ignored. */
  isStopped = false
  /** The teardown of the source itself, which lasts as long as the subscription. Most subscriptions have no other. */
  teardown: Teardown | null = null
  moreTeardowns: TeardownList | null = null

  constructor (sink: Sink) {
    this.sink = sink
  }

  open (observable: Subscribable): void {
    this.add(observable.subscribe(this))
  }

  next (value: unknown): void {
    if (!this.isStopped) this.sink.next(value)
  }

  error (error: unknown): void {
    if (this.isStopped) return
    this.isStopped = true
    this.sink.error(error)
    this.unsubscribe()
  }

  complete (): void {
    if (this.isStopped) return
    this.isStopped = true
    this.sink.complete()
    this.unsubscribe()
  }

  /** Keeps a teardown until `unsubscribe` runs it; runs it at once if that has been called already. */
  add (teardown: unknown): void {
    if (teardown === this || !isTeardown(teardown)) return
    if (this.closed) return runTeardown(teardown)
    if (isClosed(teardown) || teardown === this.teardown) return
    if (this.teardown === null || isClosed(this.teardown)) {
      this.teardown = teardown
    } else {
      this.moreTeardowns ??= new TeardownList()
      this.moreTeardowns.add(teardown)
    }
  }

  remove (teardown: unknown): void {
    if (this.teardown === teardown) this.teardown = null
    else this.moreTeardowns?.remove(teardown)
  }

  /** Runs every teardown. Throws what one of them throws when all have run, or an `AggregateError` of several. */
  unsubscribe (): void {
    if (this.closed) return
    this.closed = true
    this.isStopped = true
    const { teardown, moreTeardowns } = this
    this.teardown = null
    this.moreTeardowns = null
    if (moreTeardowns !== null) moreTeardowns.run(teardown)
    else if (teardown !== null) runTeardown(teardown)
  }
}
