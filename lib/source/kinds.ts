import { Readable } from 'node:stream'
import type { SseContext } from '../../types/index.ts'
import type { EventLog } from '../../types/event-log.ts'
import { FST_SSE_INVALID_SOURCE } from '../errors.ts'
import { kindOf } from '../preview.ts'
import { hasMethod, isPromise } from '../duck-type.ts'
import { isObservable } from './observable.ts'

/**
 * Throws `FST_SSE_INVALID_SOURCE` for an argument of `reply.sse()` that cannot be a source. What a promise or a factory
 * will give is checked when it is there.
 */
export function checkSource (source: unknown): void {
  if (typeof source !== 'function' && !isPromise(source) && !isInput(source) && !isLog(source)) {
    throw invalidSource(
      source, 'give an Observable, an iterable, a stream of objects, a promise of one, or a factory of one')
  }
}

/**
 * Throws `FST_SSE_INVALID_SOURCE` for a value that the handler of a route with the option `sse` returned, or resolved
 * to, and that cannot be a source.
 */
export function checkHandlerResult (source: unknown): void {
  if (typeof source === 'function' || isInput(source) || isLog(source)) return
  throw invalidSource(
    source, 'return an Observable, an iterable, a stream of objects or a factory of one, or answer with reply.send() ' +
    'and return the reply', 'a handler of a route with the option "sse" returned it: ')
}

/**
 * Names the kind of a payload that only an event stream could be made of; `null` for one that Fastify can send. It is
 * called for each response of the application, not only for streams.
 */
export function unsendableKind (value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null
  if (isObservable(value)) return 'an Observable'
  return GENERATOR.test(Object.prototype.toString.call(value)) ? 'a generator' : null
}

const GENERATOR = /^\[object (?:Async)?Generator\]$/

/**
 * Whether a source is a function that makes the source, and not an iterable or an Observable that is a function too.
 */
export function isFactory (value: unknown): value is (context: SseContext) => unknown {
  return typeof value === 'function' && !isInput(value)
}

/**
 * Whether a value can be subscribed to or pulled from. Promises are told apart before, and strings and bytes refused.
 */
export function isInput (value: unknown): value is object {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || isBytes(value)) return false
  return isObservable(value) || hasMethod(value, Symbol.asyncIterator) || hasMethod(value, Symbol.iterator) ||
    hasMethod(value, 'getReader') || isArrayLike(value)
}

/** Whether a value is an event log. */
export function isLog (value: unknown): value is EventLog {
  return typeof value === 'object' && value !== null && hasMethod(value, 'append') && hasMethod(value, 'after')
}

function isArrayLike (value: object): boolean {
  return typeof value === 'object' && 'length' in value && Number.isInteger(value.length)
}

/** Whether a value is binary data, or a stream of it: no messages can be read from it. */
export function isBytes (value: unknown): boolean {
  if (value instanceof Readable) return !value.readableObjectMode
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer
}

function isMessageLike (value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('data' in value || 'type' in value || 'id' in value)
}

/** Makes the error for a value that is no source. `origin` says where it came from; `hint` says what to do. */
export function invalidSource (value: unknown, hint: string, origin = ''): Error {
  if (typeof value === 'string') hint = 'it would be sent character by character: give an Observable of it, of(string)'
  else if (isMessageLike(value)) hint = 'it is one message: give an Observable of it, of(message)'
  else if (isBytes(value)) hint = 'bytes have no events in them: parse them into messages, or answer with reply.send()'
  return new FST_SSE_INVALID_SOURCE(kindOf(value), origin + hint)
}
