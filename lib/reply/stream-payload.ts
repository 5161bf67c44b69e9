import type { EventEmitter } from 'node:events'
import { constants } from 'node:http2'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { FST_SSE_SOURCE_FAILED } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import { kindOf } from '../preview.ts'
import type { Registry } from '../server/registry.ts'
import { EventStream } from '../stream/event-stream.ts'
import type { Carrier } from '../stream/event-stream.ts'
import { Writer } from '../stream/writer.ts'
import { checkHeaders, setHeaders, unsetHeaders } from './headers.ts'
import { HeldReply } from './held-reply.ts'
import { resumeIdleTimeout, suspendIdleTimeout } from './idle-timeout.ts'
import type { Timed } from './idle-timeout.ts'
import { ListenerSnapshot } from './listeners.ts'

/**
 * How long the last bytes of a broken stream have to be read, in milliseconds. Chromium discards what it has not read
 * when the connection is destroyed, on HTTP/2 a reset overtakes the write before it, and a compressor hands on late.
 */
const BREAK_GRACE = 50

/** Where a response keeps its payload: one listener serves all, instead of a closure for each connection. */
const kCarried = Symbol('fastify-rxjs-sse.carried')

type Carrying = EventEmitter & { [kCarried]?: StreamPayload | null }

/** The reply of one event stream, which keeps the whole write path in its own hands. */
export class StreamPayload extends HeldReply implements Carrier {
  readonly #waitsForEvent: boolean
  readonly #stream: EventStream
  readonly #socket: Socket
  /** For a response that has no socket yet. */
  readonly #onSocketClose: (() => void) | null
  #timed: Timed | null
  #sendImmediate: NodeJS.Immediate | null
  /** Of the response, when Fastify began to listen to this payload. */
  #listeners: ListenerSnapshot | null
  #isOpened: boolean
  #isSent: boolean
  #error: Error | null
  #isFinished: boolean
  #destination: Writable | null
  #endsDestination: boolean

  constructor (reply: FastifyReply, options: ResolvedOptions, registry: Registry) {
    super(reply)
    this.#waitsForEvent = options.open === 'first-event'
    this.#stream = new EventStream(options, registry, reply.request, this)
    this.#socket = reply.request.raw.socket
    this.#sendImmediate = null
    this.#listeners = null
    this.#isOpened = false
    this.#isSent = false
    this.#error = null
    this.#isFinished = false
    this.#destination = null
    this.#endsDestination = true

    const { raw } = reply
    const session = http2ResponseOf(reply)?.stream.session
    // Fastify may listen with servers that a plugin cannot see, for the other addresses of a host name.
    if (session !== undefined) registry.sessions.add(session)
    this.#timed = session ?? this.#socket
    suspendIdleTimeout(this.#timed)
    ;(raw as Carrying)[kCarried] = this
    raw.on('close', onClose)
    // Behind an earlier request of its connection a response has no socket yet, and is not told when that closes.
    this.#onSocketClose = raw.socket === null ? () => this.destroy() : null
    if (this.#onSocketClose !== null) this.#socket.on('close', this.#onSocketClose)
  }

  /** Neither a response that has no socket yet nor one of HTTP/2 says so by its own `destroyed`. */
  get hasLeft (): boolean {
    return this.reply.raw.destroyed || http2ResponseOf(this.reply)?.stream.destroyed === true || this.#socket?.destroyed
  }

  /**
   * Holds the reply, and lets `begin` start the stream. Nothing is answered in this turn, so that whatever the handler
   * still returns or throws finds the reply taken.
   */
  start (begin: (stream: EventStream) => void): void {
    this.holdReply()
    this.#sendImmediate = setImmediate(() => {
      this.#sendImmediate = null
      if (this.#error !== null) this.#answerError(this.#error)
      else if (this.#isOpened || !this.#waitsForEvent) this.#send()
    })
    begin(this.#stream)
    if (this.#stream.isClosed && this.#error === null) this.#dispose()
  }

  begin (): void {
    this.#isOpened = true
    if (this.#sendImmediate === null && !this.#isSent) this.#stream.runInAsyncScope(() => this.#send())
  }

  fail (error: unknown): void {
    const answer = toError(error)
    this.#error = answer
    // Otherwise the turn's end sees it, or pipe() does.
    if (this.#sendImmediate === null && !this.#isSent) this.#stream.runInAsyncScope(() => this.#answerError(answer))
  }

  /** Fastify begins to listen to the payload, and right after, with nobody's code between, to the response. */
  override on (event: string | symbol, listener: (...args: unknown[]) => void): this {
    if (this.#isSent) this.#listeners = new ListenerSnapshot(this.reply.raw)
    return super.on(event, listener)
  }

  /** Fastify has run the hooks, and set the headers. An `onSend` hook may call it too, to put a stream between. */
  pipe (destination: Writable, options?: { end?: boolean }): Writable {
    const { raw } = this.reply
    this.#destination = destination
    this.#endsDestination = options?.end !== false
    try {
      if (this.#error !== null) throw this.#error
      checkHeaders(this.reply)
      if (!raw.headersSent) raw.removeHeader('content-length')
      if (this.#endsDestination) this.#partFromFastify()
      this.#stream.attach(new Writer(destination, this.#stream, destination === raw ? null : this.#stream))
    } catch (error) {
      this.#stream.cancel(error)
      this.emit('error', error)
    }
    return destination
  }

  end (): void {
    this.#resumeTimeout()
    this.reply.raw.once('finish', () => {
      this.#isFinished = true
      if (this.#stream.isShutdown && http2ResponseOf(this.reply) === null) this.#socket.destroySoon?.()
    })
    if (this.#endsDestination) this.#destination?.end()
    // Node's pipeline() listens only after it has called pipe().
    else process.nextTick(() => this.emit('end'))
  }

  abort (): void {
    setTimeout(() => this.destroyConnection(), BREAK_GRACE)
  }

  destroyConnection (): void {
    const { raw } = this.reply
    const http2 = http2ResponseOf(this.reply)
    if (http2 !== null) http2.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else if (raw.socket === null) this.#socket.destroy()
    else raw.destroy()
  }

  /** Drops the connection, unless it owes another request its answer first. */
  destroyUnlessPipelined (): void {
    if (this.reply.raw.socket !== null) this.destroyConnection()
  }

  giveWayToError (error: unknown): void {
    unsetHeaders(this.reply)
    this.#stream.cancel(error)
    this.#dispose()
  }

  /** Fastify wants no body after all: a hook has made it a 204. */
  resume (): this {
    return this.destroy()
  }

  /** The connection is gone, or a hook does away with the payload. */
  destroy (): this {
    this.#stream.close(this.#isFinished)
    this.#dispose()
    return this
  }

  #send (): void {
    this.#isSent = true
    setHeaders(this.reply)
    try {
      this.sendReply(this)
    } catch (error) {
      // A header that cannot be written, say. Nobody is left to catch it, as the handler has returned.
      this.giveWayToError(error)
      this.#answerError(toError(error))
    }
  }

  #answerError (error: Error): void {
    this.#isSent = true
    this.#dispose()
    try {
      this.sendReply(error)
    } catch (thrown) {
      // Fastify is about to answer with another: reply.sse() was called in an onError hook.
      this.reply.log.error({ err: thrown }, 'the error of an event stream could not be sent')
    }
  }

  /**
   * As far as Fastify is concerned the payload has ended: it does not log that it was cut off when the client leaves.
   * What it listens for, on the payload and on the response, would cost two kilobytes a connection, and has no use any
   * more.
   */
  #partFromFastify (): void {
    this.emit('end')
    this.removeAllListeners()
    if (this.#destination !== this.reply.raw) return
    this.#listeners?.restore()
    this.#listeners = null
    this.reply.raw.on('error', ignore)
  }

  #resumeTimeout (): void {
    if (this.#timed !== null) resumeIdleTimeout(this.#timed)
    this.#timed = null
  }

  #dispose (): void {
    if (this.#sendImmediate !== null) clearImmediate(this.#sendImmediate)
    this.#sendImmediate = null
    this.#listeners = null
    this.#resumeTimeout()
    const { raw } = this.reply
    raw.removeListener('close', onClose)
    ;(raw as Carrying)[kCarried] = null
    if (this.#onSocketClose !== null) this.#socket.removeListener('close', this.#onSocketClose)
  }
}

function toError (error: unknown): Error {
  return error instanceof Error ? error : new FST_SSE_SOURCE_FAILED(kindOf(error), { cause: error })
}

function onClose (this: Carrying): void {
  this[kCarried]?.destroy()
}

/** An error that nobody listens for would end the process; 'close' follows, which says enough. */
function ignore (): void {}

function http2ResponseOf (reply: FastifyReply): Http2ServerResponse | null {
  return reply.request.raw.httpVersionMajor === 2 ? reply.raw as unknown as Http2ServerResponse : null
}
