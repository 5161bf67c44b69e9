import { Readable } from 'node:stream'
import { from, observable } from 'rxjs'
import type { ObservableInput, Observer, Unsubscribable } from 'rxjs'
import type { SseContext } from '../types/index.ts'
import { FST_SSE_INVALID_SOURCE, show } from './errors.ts'

/** Throws `FST_SSE_INVALID_SOURCE` for what cannot be streamed, as far as can be told before it is used. */
export function checkSource (source: unknown): void {
  if (typeof source !== 'function' && !isPromise(source) && !isInput(source)) {
    throw invalidSource(source, 'give an Observable, an iterable, a stream of objects, a promise of one, or a factory of one')
  }
}

/**
 * Subscribes to anything accepted: calls a factory, waits for a promise, hands the rest to RxJS. Never throws: what a
 * factory, a source or its teardown throws, and what a factory gives that is no source, goes to `observer.error`.
 */
export function subscribe (source: unknown, context: SseContext, observer: Observer<unknown>): Unsubscribable {
  try {
    const given = isFactory(source) ? callFactory(source, context) : source
    return isInput(given) ? subscribeInput(given, observer) : new PromisedSource(given as PromiseLike<unknown>, observer)
  } catch (error) {
    observer.error(error)
    return CLOSED
  }
}

const CLOSED: Unsubscribable = { unsubscribe () {} }

function subscribeInput (input: unknown, observer: Observer<unknown>): Unsubscribable {
  return from(input as ObservableInput<unknown>).subscribe(observer)
}

function callFactory (factory: (context: SseContext) => unknown, context: SseContext): unknown {
  const given = factory(context)
  if (isPromise(given) || isInput(given)) return given
  throw invalidSource(given, 'the factory returned it; return an Observable, an iterable, a stream of objects, or a promise of one')
}

/** A promise of a source is that source, and a promise of a value is a source of that value. */
class PromisedSource implements Unsubscribable {
  #subscription: Unsubscribable | null = null
  #closed = false

  constructor (promise: PromiseLike<unknown>, observer: Observer<unknown>) {
    // A thenable's own then() may throw, and need not return anything.
    Promise.resolve(promise).then(
      (source) => {
        if (!this.#closed) this.#open(source, observer)
      },
      (error: unknown) => {
        if (!this.#closed) observer.error(error)
      }
    )
  }

  #open (source: unknown, observer: Observer<unknown>): void {
    try {
      this.#subscribe(source, observer)
    } catch (error) {
      observer.error(error)
    }
  }

  #subscribe (source: unknown, observer: Observer<unknown>): void {
    if (isInput(source)) {
      this.#subscription = subscribeInput(source, observer)
      // A source may end the stream while it is being subscribed to, when there is no subscription to close yet.
      if (this.#closed) this.#subscription.unsubscribe()
    } else if (source === undefined || typeof source === 'function' || isBytes(source)) {
      throw invalidSource(source, 'a promise gave it; give an Observable, an iterable or a stream of objects')
    } else {
      observer.next(source)
      observer.complete()
    }
  }

  unsubscribe (): void {
    this.#closed = true
    this.#subscription?.unsubscribe()
  }
}

function isFactory (value: unknown): value is (context: SseContext) => unknown {
  return typeof value === 'function' && !isInput(value)
}

function isPromise (value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && hasMethod(value, 'then')
}

/** What RxJS's `from` takes, but for promises, strings and bytes. */
function isInput (value: unknown): boolean {
  if (!isObject(value) || isBytes(value)) return false
  return hasMethod(value, observable) || hasMethod(value, Symbol.asyncIterator) || hasMethod(value, Symbol.iterator) ||
    hasMethod(value, 'getReader') || isArrayLike(value)
}

function isArrayLike (value: object): boolean {
  return typeof value === 'object' && 'length' in value && Number.isInteger(value.length)
}

function isBytes (value: unknown): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || (value instanceof Readable && !value.readableObjectMode)
}

function isObject (value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function hasMethod (value: object, key: PropertyKey): boolean {
  return key in value && typeof (value as Record<PropertyKey, unknown>)[key] === 'function'
}

function invalidSource (value: unknown, hint: string): Error {
  if (typeof value === 'string') hint = 'it would be sent character by character: give an Observable of it, of(string)'
  if (isBytes(value)) hint = 'bytes have no events in them: parse them into messages, or answer with reply.send()'
  return new FST_SSE_INVALID_SOURCE(show(value), hint)
}
