import type { EventEmitter } from 'node:events'
import { constants } from 'node:http2'
import type { Http2ServerResponse } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FastifyReply } from 'fastify'
import { callEach } from '../isolate.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Registry } from '../server/registry.ts'
import { discard } from '../source/subscribe.ts'
import { EventStream } from '../stream/event-stream.ts'
import type { Carrier } from '../stream/event-stream.ts'
import type { Admission } from './admission.ts'
import { checkHeaders, setHeaders, unsetHeaders } from './headers.ts'
import { HeldReply } from './held-reply.ts'
import { resumeIdleTimeout, suspendIdleTimeout } from './idle-timeout.ts'
import type { Timed } from './idle-timeout.ts'
import { awaitSocket } from './pipelined.ts'
import type { PipelinedResponse } from './pipelined.ts'

/**
 * The time between the last bytes of a failed stream and the break of its connection, in milliseconds. Chromium
 * discards what it has not read when the connection breaks, on HTTP/2 a reset overtakes the write before it, and a
 * compressor writes late.
 */
const BREAK_GRACE = 50

/** How many turns of the event loop a stream on TLS waits for its server to close, before it ends all the same. */
const SHUTDOWN_TURNS = 100

/** The property of a response that holds its payload: one listener serves all, instead of a closure for each. */
const kCarried = Symbol('fastify-rxjs-sse.carried')

type Carrying = EventEmitter & { [kCarried]?: StreamPayload | null }

/** The admissions for which a response is kept open until its stream ends. */
type StreamAdmission = Exclude<Admission, 'headers-only' | 'finished' | 'come-back'>

interface WaitingSource {
  readonly source: unknown
  readonly lastEventId: string | undefined
}

/** The payload of one event stream: to Fastify a stream to pipe, to the stream the response that carries it. */
export class StreamPayload extends HeldReply implements Carrier, PipelinedResponse {
  readonly #waitsForEvent: boolean
  readonly #stream: EventStream
  readonly #socket: Socket
  /** Stops waiting for the socket of a response whose request was pipelined behind others. */
  #stopWaiting: (() => void) | null = null
  /** The source that is subscribed to when the response has its socket. */
  #waitingSource: WaitingSource | null = null
  #timed: Timed | null
  /** Will send the response headers, unless an error or `open: 'first-event'` stands against it. */
  #sendImmediate: NodeJS.Immediate | null = null
  #hasBegun = false
  #isSent = false
  #error: { readonly reason: unknown } | null = null
  #isFinished = false
  /** The response has closed, or its connection. */
  #isOver = false
  /** Those who await the reply. */
  #waiters: Array<() => void> | null = null
  #destination: Writable | null = null
  #endsDestination = true

  constructor (reply: FastifyReply, options: ResolvedOptions, registry: Registry) {
    super(reply)
    this.#waitsForEvent = options.open === 'first-event'
    this.#stream = new EventStream(options, registry, reply.request, this)
    this.#socket = reply.request.raw.socket

    const { raw } = reply
    const session = http2ResponseOf(reply)?.stream.session
    // Fastify may listen with servers that a plugin cannot see, for the other addresses of a host name.
    if (session !== undefined) registry.sessions.add(session)
    this.#timed = session ?? this.#socket
    suspendIdleTimeout(this.#timed)
    ;(raw as Carrying)[kCarried] = this
    raw.on('close', onClose)
    if (raw.socket === null) this.#stopWaiting = awaitSocket(raw, this.#socket, this)
  }

  /**
   * Holds the reply, and starts the stream as it was admitted. Nothing is sent in this turn of the event loop, so that
   * whatever the handler still returns or throws finds the reply held. A source is subscribed to when its response has
   * a socket: a client may pipeline thousands of requests, of which one at a time can be answered.
   */
  start (admission: StreamAdmission, source: unknown, lastEventId: string | undefined): void {
    this.holdReply()
    if (admission === 'stream' && this.#stopWaiting !== null) this.#waitingSource = { source, lastEventId }
    else this.#start(admission, source, lastEventId)
  }

  onSocket (): void {
    const waiting = this.#waitingSource
    this.#waitingSource = null
    if (waiting === null) return
    this.#stream.runInAsyncScope(() => this.#start('stream', waiting.source, waiting.lastEventId))
  }

  onSocketClose (): void {
    this.onResponseClose()
  }

  onResponseClose (): void {
    this.destroy()
    this.#stopWaiting?.()
    this.#isOver = true
    callEach(this.#waiters ?? [], (callback) => callback())
    this.#waiters = null
  }

  whenOver (callback: () => void): void {
    if (this.#isOver) return callback()
    this.#waiters ??= []
    this.#waiters.push(callback)
  }

  #start (admission: StreamAdmission, source: unknown, lastEventId: string | undefined): void {
    this.#sendImmediate = setImmediate(() => {
      this.#sendImmediate = null
      if (this.#error !== null) this.#answerError(this.#error.reason)
      else if (this.#hasBegun || !this.#waitsForEvent) this.#send()
    })
    const stream = this.#stream
    const { request } = this.reply
    switch (admission) {
      case 'stream': return stream.start(source, { lastEventId, request, get signal () { return stream.signal } })
      case 'left': return this.onResponseClose()
      case 'closing': return stream.shutdown()
      case 'aborted': return stream.abort()
      default: return stream.error(admission)
    }
  }

  begin (): void {
    this.#hasBegun = true
    if (this.#sendImmediate === null && !this.#isSent) this.#stream.runInAsyncScope(() => this.#send())
  }

  fail (reason: unknown): void {
    this.#error = { reason }
    // Otherwise the immediate or pipe() answers with it.
    if (this.#sendImmediate === null && !this.#isSent) this.#stream.runInAsyncScope(() => this.#answerError(reason))
  }

  /** Fastify calls it when its hooks have run; an `onSend` hook that puts a stream of its own between calls it too. */
  pipe (destination: Writable, options?: { end?: boolean }): Writable {
    const { raw } = this.reply
    this.#destination = destination
    this.#endsDestination = this.endsDestination(destination, options)
    try {
      if (this.#error !== null) throw this.#error.reason
      checkHeaders(this.reply)
      if (!raw.headersSent) raw.removeHeader('content-length')
      if (this.#endsDestination) this.partFromFastify(destination)
      this.#stream.attach(destination, destination !== raw)
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
    // Node's pipeline() listens only after it has called pipe().
    if (!this.#endsDestination) return void process.nextTick(() => this.emit('end'))
    const isTls = http2ResponseOf(this.reply) === null && (this.#socket as Partial<TLSSocket>).encrypted === true
    if (isTls && this.#stream.isShutdown) this.#endWhenServerIsClosed(SHUTDOWN_TURNS)
    else this.#endDestination()
  }

  abort (): void {
    setTimeout(() => this.destroyConnection(), BREAK_GRACE)
  }

  destroyConnection (): void {
    const http2 = http2ResponseOf(this.reply)
    if (http2 === null) this.reply.raw.destroy()
    else http2.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  destroyUnlessPipelined (): void {
    if (this.reply.raw.socket !== null) this.destroyConnection()
  }

  giveWayToError (error: unknown): void {
    unsetHeaders(this.reply)
    this.#stream.cancel(error)
    this.#dispose()
  }

  /** Fastify calls it where a hook has changed the status to one without a body. */
  resume (): this {
    return this.destroy()
  }

  /** The response has closed, or a hook discards the payload. */
  destroy (): this {
    this.#stream.close(this.#isFinished)
    this.#dispose()
    return this
  }

  /**
   * Waits until the server has stopped to listen, and closes its idle connections: a connection whose response has ended
   * is idle to Node, and on TLS, which writes later, the last bytes are lost when it is destroyed.
   */
  #endWhenServerIsClosed (turns: number): void {
    const { server } = this.#socket as { server?: Server }
    if (turns === 0 || server?.listening !== true) this.#endDestination()
    else setImmediate(() => this.#endWhenServerIsClosed(turns - 1))
  }

  #endDestination (): void {
    try {
      this.#destination?.end()
    } catch (error) {
      this.#stream.onWriterClosed(error)
    }
  }

  #send (): void {
    this.#isSent = true
    setHeaders(this.reply)
    this.sendPayload()
  }

  #answerError (error: unknown): void {
    this.#isSent = true
    this.#dispose()
    this.sendError(error)
  }

  #resumeTimeout (): void {
    if (this.#timed !== null) resumeIdleTimeout(this.#timed)
    this.#timed = null
  }

  #dispose (): void {
    if (this.#sendImmediate !== null) clearImmediate(this.#sendImmediate)
    this.#sendImmediate = null
    this.#resumeTimeout()
    if (this.#waitingSource !== null) discard(this.#waitingSource.source)
    this.#waitingSource = null
  }
}

function onClose (this: Carrying): void {
  this[kCarried]?.onResponseClose()
}

function http2ResponseOf (reply: FastifyReply): Http2ServerResponse | null {
  return reply.request.raw.httpVersionMajor === 2 ? reply.raw as unknown as Http2ServerResponse : null
}
