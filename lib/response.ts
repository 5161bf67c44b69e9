import { EventEmitter } from 'node:events'
import { constants } from 'node:http2'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { FST_SSE_SOURCE_FAILED, show } from './errors.ts'
import { claim, unclaim } from './claim.ts'
import { checkHead, setHead } from './head.ts'
import type { Frame } from './frame.ts'
import type { ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'
import { EventStream } from './stream.ts'
import type { Carrier } from './stream.ts'
import { Writer } from './writer.ts'

/**
 * How long the last bytes of a broken stream have to be read, in milliseconds. Chromium discards what it has not read
 * when the connection is destroyed, on HTTP/2 a reset overtakes the write before it, and a compressor hands on late.
 */
const BREAK_GRACE = 50

/**
 * The reply of one event stream, as a payload for `reply.send()`, so that every `onSend` hook runs. Fastify takes what
 * has a `pipe` for a stream; this one keeps the whole write path in its own hands.
 */
export class StreamPayload extends EventEmitter implements Carrier {
  readonly #reply: FastifyReply
  readonly #waitsForEvent: boolean
  readonly #stream: EventStream
  readonly #socket: Socket
  readonly #socketTimeout: number
  readonly #onClose: () => void
  #turn: NodeJS.Immediate | null
  #isOpened: boolean
  #isSent: boolean
  #error: Error | null
  #isFinished: boolean
  #destination: Writable | null
  #endsDestination: boolean

  constructor (reply: FastifyReply, options: ResolvedOptions, registry: Registry) {
    super()
    this.#reply = reply
    this.#waitsForEvent = options.open === 'first-event'
    this.#stream = new EventStream(options, registry, reply.request, this)
    this.#socket = reply.request.raw.socket
    this.#socketTimeout = suspendTimeout(this.#socket)
    this.#onClose = () => this.#close()
    this.#turn = null
    this.#isOpened = false
    this.#isSent = false
    this.#error = null
    this.#isFinished = false
    this.#destination = null
    this.#endsDestination = true
    // Before Fastify's own listener, which logs what has not ended until then.
    reply.raw.on('close', this.#onClose)
    // Behind an earlier request of its connection a response has no socket yet, and is not told when that closes.
    if (reply.raw.socket === null) this.#socket.on('close', this.#onClose)
    // Fastify may listen with servers that a plugin cannot see, for the other addresses of a host name.
    const session = isHttp2(reply) ? (reply.raw as unknown as Http2ServerResponse).stream.session : undefined
    if (session !== undefined) registry.addSession(session)
  }

  /**
   * Takes the reply, and lets `begin` start the stream. Nothing is answered in this turn, so that whatever the handler
   * still returns or throws finds the reply taken.
   */
  start (begin: (stream: EventStream) => void): void {
    claim(this.#reply)
    this.#turn = setImmediate(() => {
      this.#turn = null
      if (this.#error !== null) this.#answerError()
      else if (this.#isOpened || !this.#waitsForEvent) this.#send()
    })
    begin(this.#stream)
    if (this.#stream.isClosed && this.#error === null) this.#dispose()
  }

  /** Neither a response that has no socket yet nor one of HTTP/2 says so by its own `destroyed`. */
  get hasLeft (): boolean {
    const { raw } = this.#reply
    const stream = isHttp2(this.#reply) ? (raw as unknown as Http2ServerResponse).stream : null
    return raw.destroyed || stream?.destroyed === true || this.#socket?.destroyed
  }

  open (): void {
    this.#isOpened = true
    if (this.#turn === null && !this.#isSent) this.#stream.run(() => this.#send())
  }

  reject (error: unknown): void {
    this.#error = error instanceof Error ? error : new FST_SSE_SOURCE_FAILED(show(error), { cause: error })
    // Otherwise the turn's end sees it, or pipe() does.
    if (this.#turn === null && !this.#isSent) this.#stream.run(() => this.#answerError())
  }

  /** Fastify has run the hooks, and set the headers. An `onSend` hook may call it too, to put a stream between. */
  pipe (destination: Writable, options?: { end?: boolean }): Writable {
    const { raw } = this.#reply
    this.#destination = destination
    this.#endsDestination = options?.end !== false
    try {
      if (this.#error !== null) throw this.#error
      checkHead(this.#reply)
      if (!raw.headersSent) raw.removeHeader('content-length')
      this.#stream.attach(new Writer(destination, () => this.#stream.drain()))
    } catch (error) {
      this.#stream.cancel(error)
      this.emit('error', error)
    }
    return destination
  }

  end (): void {
    const { raw } = this.#reply
    const socket = raw.socket
    // Node sets its own timeout for the wait between two requests when the response has finished.
    if (this.#socketTimeout > 0) this.#socket.setTimeout(this.#socketTimeout)
    raw.once('finish', () => {
      this.#isFinished = true
      if (this.#stream.isShutdown && socket !== null && !isHttp2(this.#reply)) socket.destroySoon?.()
    })
    this.emit('end')
    if (this.#endsDestination) this.#destination?.end()
  }

  break (): void {
    setTimeout(() => this.drop(), BREAK_GRACE).unref()
  }

  drop (): void {
    const { raw } = this.#reply
    if (isHttp2(this.#reply)) (raw as unknown as Http2ServerResponse).stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else if (raw.socket === null) this.#socket.destroy()
    else raw.destroy()
  }

  /** The error handler is about to answer in the stream's place. */
  yield (error: unknown): void {
    unclaim(this.#reply)
    this.#stream.cancel(error)
    this.#dispose()
  }

  /** Fastify wants no body after all: a hook has made it a 204. */
  resume (): this {
    this.#close()
    return this
  }

  /** A hook, or Fastify, does away with the payload. */
  destroy (): this {
    this.#close()
    return this
  }

  #send (): void {
    this.#isSent = true
    setHead(this.#reply)
    unclaim(this.#reply)
    this.#reply.send(this)
    // Unless a hook has failed, and the error handler has the reply.
    if (!this.#stream.isClosed) claim(this.#reply)
  }

  #answerError (): void {
    this.#isSent = true
    this.#dispose()
    unclaim(this.#reply)
    this.#reply.send(this.#error)
  }

  #close (): void {
    // Tells Fastify that nothing was cut off; with trailers, or a stream between, it would take that for a success.
    if (this.#endsDestination) this.emit('end')
    this.#stream.close(this.#isFinished)
    this.#dispose()
  }

  #dispose (): void {
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#turn = null
    this.#reply.raw.removeListener('close', this.#onClose)
    this.#socket.removeListener('close', this.#onClose)
  }
}

/** A payload without a stream: for HEAD, for a client that has seen the end of its stream, for one too many. */
export class PlainPayload extends EventEmitter {
  readonly #body: Frame | null

  constructor (body: Frame | null) {
    super()
    this.#body = body
  }

  answer (reply: FastifyReply): void {
    setHead(reply)
    reply.send(this)
    claim(reply)
  }

  pipe (destination: Writable, options?: { end?: boolean }): Writable {
    if (this.#body !== null) destination.write(this.#body.bytes)
    this.emit('end')
    if (options?.end !== false) destination.end()
    return destination
  }

  resume (): this {
    return this
  }

  destroy (): this {
    return this
  }
}

/** The socket's timeouts are for requests; a stream may be silent. Gives what it was, in milliseconds. */
function suspendTimeout (socket: Socket): number {
  const timeout = typeof socket.setTimeout === 'function' ? socket.timeout ?? 0 : 0
  if (timeout > 0) socket.setTimeout(0)
  return timeout
}

function isHttp2 (reply: FastifyReply): boolean {
  return reply.request.raw.httpVersionMajor === 2
}
