import { EventEmitter } from 'node:events'
import type { FastifyReply } from 'fastify'

/** Where a reply keeps what is sent in its name. */
export const kHeldReply = Symbol('fastify-rxjs-sse.payload')

type Reply = FastifyReply & Record<symbol, unknown> & { [kHeldReply]: HeldReply | null }

/**
 * What `reply.sse()` gives to `reply.send()`. To Fastify, what has a `pipe` is a stream; it runs its `onSend` hooks.
 *
 * From the call on, the reply is held: a handler's forgotten `return`, what it returns or throws later, and
 * `handlerTimeout` must not answer in the stream's place. They ask `reply.sent`, which Fastify has true only when the
 * response has ended. `reply.hijack()` would make it true for good, and leave a request hanging whose `onSend` hook
 * fails: here an error handler that is called lets go of the reply.
 */
export abstract class HeldReply extends EventEmitter {
  readonly #reply: Reply
  #isHolding: boolean
  #isSending: boolean
  #errorHandler: unknown

  constructor (reply: FastifyReply) {
    super()
    this.#reply = reply as Reply
    this.#isHolding = false
    this.#isSending = false
    this.#errorHandler = undefined
    this.#reply[kHeldReply] = this
    Object.defineProperty(reply, 'sent', SENT)
  }

  get reply (): FastifyReply {
    return this.#reply
  }

  /** Whether the handler finds that there is an answer already. */
  get holdsReply (): boolean {
    return this.#isHolding && this.#errorHandler === this.#nextErrorHandler
  }

  /** The `onSend` hooks run, and no error handler has been called since. */
  get isSending (): boolean {
    return this.#isSending && this.#errorHandler === this.#nextErrorHandler
  }

  /** The error handler is about to answer in the payload's place. */
  abstract giveWayToError (error: unknown): void

  protected holdReply (): void {
    this.#isHolding = true
    this.#errorHandler = this.#nextErrorHandler
  }

  /** Sends as if nothing had been sent: this payload, or an error. */
  protected sendReply (payload: unknown): void {
    this.#isHolding = false
    // A handler that threw after the call has marked the reply, so that whatever is sent next is taken for an error.
    const isError = symbolOf(this.#reply, 'fastify.reply.isError')
    if (isError !== undefined) this.#reply[isError] = false
    this.#errorHandler = this.#nextErrorHandler
    this.#isSending = true
    try {
      this.#reply.send(payload)
    } finally {
      this.#isSending = false
      this.#isHolding = true
    }
  }

  /** Changes when Fastify calls an error handler. */
  get #nextErrorHandler (): unknown {
    const key = symbolOf(this.#reply, 'fastify.reply.nextErrorHandler')
    return key === undefined ? undefined : this.#reply[key]
  }
}

const SENT: PropertyDescriptor = {
  configurable: true,
  enumerable: true,
  get (this: Reply) {
    return this.raw.writableEnded || this[kHeldReply]?.holdsReply === true
  }
}

/** The held reply of `reply.sse()`, if it was called on this reply. */
export function heldReplyOf (reply: FastifyReply): HeldReply | null {
  return (reply as Reply)[kHeldReply]
}

function symbolOf (reply: FastifyReply, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(reply).find((symbol) => symbol.description === description)
}
