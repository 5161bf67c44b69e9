import { EventEmitter } from 'node:events'
import type { Writable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { FST_SSE_SOURCE_FAILED } from '../errors.ts'
import { kindOf } from '../preview.ts'
import { findReplyKeys } from './fastify-internals.ts'
import type { ReplyKeys } from './fastify-internals.ts'

/** The key under which a reply keeps the payload that is sent in its name. */
export const kHeldReply = Symbol('fastify-rxjs-sse.payload')

/** The key under which the replies of an application find the keys of their own private state. */
const kReplyKeys = Symbol('fastify-rxjs-sse.replyKeys')

type Reply = FastifyReply & Record<symbol, unknown> & { [kHeldReply]: HeldReply | null, readonly [kReplyKeys]: ReplyKeys }

/**
 * Makes the replies of an application ready to be held.
 *
 * @throws `FST_SSE_UNSUPPORTED_FASTIFY` where this Fastify cannot be asked what it does with a reply.
 */
export function prepareReplies (app: FastifyInstance): void {
  const keys = findReplyKeys(app)
  app.decorateReply(kHeldReply, null)
  // On the prototype, where it costs a reply nothing.
  app.decorateReply(kReplyKeys, { getter: () => keys })
}

/**
 * A payload that `reply.sse()` gives to `reply.send()`. Fastify takes whatever has a `pipe` for a stream: it runs its
 * `onSend` hooks, sets the headers, listens to the payload and to the response, and calls `pipe(reply.raw)`.
 *
 * From the call on, the reply is held: what a handler returns or throws later, or its missing `return`, and
 * `handlerTimeout` must not answer in the stream's place. Fastify asks `reply.sent` about that, which of itself is true
 * only when the response has ended. `reply.hijack()` would make it true for good, and leave a request without an answer
 * when an `onSend` hook fails: here the reply is released as soon as an error handler is called.
 */
export abstract class HeldReply extends EventEmitter {
  readonly #reply: Reply
  /** `reply.sent` is true, unless an error handler has been called since. */
  #isHolding = false
  #isSending = false
  /** The error handler that came next when the reply was last held or sent. It changes as soon as one is called. */
  #errorHandler: unknown = undefined
  /** Fastify has been sent this payload, and may listen to it. */
  #isGivenToFastify = false
  /** The response's listeners, when Fastify last began to listen to the payload. */
  #listeners: Listeners | null = null

  constructor (reply: FastifyReply) {
    super()
    this.#reply = reply as Reply
    this.#reply[kHeldReply] = this
    Object.defineProperties(reply, HELD)
  }

  get reply (): FastifyReply {
    return this.#reply
  }

  /** Whether `reply.sent` is true, so that the handler cannot answer any more. */
  get holdsReply (): boolean {
    return this.#isHolding && this.#errorHandler === this.#nextErrorHandler
  }

  /** Whether the `onSend` hooks are running, and no error handler has been called since. */
  get isSending (): boolean {
    return this.#isSending && this.#errorHandler === this.#nextErrorHandler
  }

  /** Calls back when the reply has been answered to the end: `await reply` waits for that, and never rejects. */
  abstract whenOver (callback: () => void): void

  /** Ends what the payload does: the error handler answers in its place. */
  abstract giveWayToError (error: unknown): void

  /** Fastify listens to the payload, and right after to the response, with nobody's code between. */
  override on (event: string | symbol, listener: (...args: unknown[]) => void): this {
    if (this.#isGivenToFastify) this.#listeners = listenersOf(this.#reply.raw)
    return super.on(event, listener)
  }

  /** Fastify calls this when all hooks have run; so does an `onSend` hook that puts a stream between. */
  abstract pipe (destination: Writable, options?: { end?: boolean }): Writable

  /** Fastify calls this instead of `pipe()` where the status allows no body. */
  abstract resume (): this

  /** Fastify calls this when the response closes before the payload has ended. */
  abstract destroy (): this

  /** Makes `reply.sent` true, so that nothing but the payload, or an error handler, answers. */
  protected holdReply (): void {
    this.#isHolding = true
    this.#errorHandler = this.#nextErrorHandler
  }

  /** Sends a payload, this one or an error, as if nothing had been sent before. */
  protected sendReply (payload: unknown): void {
    this.#isHolding = false
    // Where a handler threw after the call, Fastify would take this payload for its error.
    this.#reply[this.#reply[kReplyKeys].isError] = false
    this.#errorHandler = this.#nextErrorHandler
    this.#isGivenToFastify = payload === this
    this.#isSending = true
    try {
      this.#reply.send(payload)
    } finally {
      this.#isSending = false
      this.#isHolding = true
    }
  }

  /**
   * Sends the payload. What that throws is the answer then, an error for a header that cannot be written, say: the
   * handler has returned, and catches nothing any more.
   */
  protected sendPayload (): void {
    try {
      this.sendReply(this)
    } catch (error) {
      this.giveWayToError(error)
      this.sendError(error)
    }
  }

  /** Sends an error. It cannot be sent in an `onError` hook, where Fastify is about to answer with another. */
  protected sendError (error: unknown): void {
    try {
      this.sendReply(toError(error))
    } catch (thrown) {
      this.#reply.log.error({ err: thrown }, 'the error of an event stream could not be sent')
    }
  }

  /**
   * Whether the payload ends the destination that `pipe()` was given. Fastify ends a response with trailers, when the
   * payload emits `end`; before 5.12.8 it does not say so in the options.
   */
  protected endsDestination (destination: Writable, options?: { end?: boolean }): boolean {
    if (options?.end === false) return false
    return destination !== this.#reply.raw as Writable || this.#reply[this.#reply[kReplyKeys].trailers] === null
  }

  /**
   * Has Fastify take the payload for ended, so that it does not log a stream that was cut off when the client leaves.
   * Its listeners, on the payload and on the response, have no use then; they are removed, as they take two kilobytes
   * for each connection.
   */
  protected partFromFastify (destination: Writable): void {
    const { raw } = this.#reply
    this.emit('end')
    this.removeAllListeners()
    if (this.#listeners === null || destination !== raw as Writable) return
    removeNewListeners(raw, this.#listeners)
    this.#listeners = null
    raw.on('error', ignore)
  }

  /** Changes when Fastify calls an error handler. */
  get #nextErrorHandler (): unknown {
    return this.#reply[this.#reply[kReplyKeys].nextErrorHandler]
  }
}

/** The properties that a held reply has of its own. */
const HELD: PropertyDescriptorMap = {
  sent: {
    configurable: true,
    enumerable: true,
    get (this: Reply) {
      return this.raw.writableEnded || this[kHeldReply]?.holdsReply === true
    }
  },
  // Fastify's own would resolve at once where `sent` is true, and add several listeners to the response elsewhere.
  // oxlint-disable-next-line unicorn/no-thenable -- a reply of Fastify's is one
  then: {
    configurable: true,
    value (this: Reply, onFulfilled: () => void) {
      this[kHeldReply]?.whenOver(onFulfilled)
    }
  }
}

/** The held reply of `reply.sse()`, if it was called on this reply. */
export function heldReplyOf (reply: FastifyReply): HeldReply | null {
  return (reply as Reply)[kHeldReply]
}

/** The error that Fastify is to answer with: it takes only an `Error` for one. */
function toError (error: unknown): Error {
  return error instanceof Error ? error : new FST_SSE_SOURCE_FAILED(kindOf(error), { cause: error })
}

/** The listeners of an emitter at one time, by event. */
type Listeners = ReadonlyMap<string | symbol, readonly Function[]>

function listenersOf (emitter: EventEmitter): Listeners {
  return new Map(emitter.eventNames().map((name) => [name, emitter.rawListeners(name)]))
}

/** Removes the listeners that are not among the known ones. */
function removeNewListeners (emitter: EventEmitter, known: Listeners): void {
  for (const name of emitter.eventNames()) {
    for (const listener of emitter.rawListeners(name)) {
      if (known.get(name)?.includes(listener) !== true) emitter.removeListener(name, listener as () => void)
    }
  }
}

/** An error event that nobody listens for ends the process. The close event follows it, and says enough. */
function ignore (): void {}
