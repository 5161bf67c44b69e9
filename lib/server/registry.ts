import { AsyncResource } from 'node:async_hooks'
import { callEach } from '../isolate.ts'
import type { ConnectionLimit, ServerOptions } from '../options.ts'
import { PausedSources } from '../source/paused-sources.ts'
import { encodeRetry } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import { Http2Sessions } from './http2-sessions.ts'
import { SharedEncoder } from './shared-encoder.ts'
import { SharedTimers } from './shared-timers.ts'
import { WriteBatch } from './write-batch.ts'

/** What the registry calls on a stream. Times are in milliseconds, by `performance.now()`. */
export interface RegisteredStream {
  /** The time of the last write, or of the last heartbeat that was due. */
  readonly lastBeat: number
  /** Called when nothing was written for the whole interval of the stream's heartbeat. */
  beat (): void
  /** Called ten times in each `stallTimeout`. */
  checkStall (): void
  /** The time at which the stream has lasted for its `maxDuration`. */
  readonly expiresAt: number
  /** Called at that time. */
  expire (): void
  /** Unsubscribes, sends `shutdownFrame`, and ends the response once all pending frames have been written. */
  shutdown (shutdownFrame: Frame | null): void
  /** Destroys the connection, unless another request is being answered on it. */
  destroyUnlessPipelined (): void
  /** Ends the stream by what one of the other methods has thrown. It never throws. */
  crash (error: unknown): void
}

function fail (stream: RegisteredStream, error: unknown): void {
  stream.crash(error)
}

/** How long a client may take to receive its pending bytes when the server closes, in milliseconds. */
const SHUTDOWN_GRACE = 500

/** All open streams of one server, and what they share. */
export class Registry {
  readonly #options: ServerOptions
  readonly #streams: Set<RegisteredStream> = new Set()
  readonly sessions = new Http2Sessions()
  /** The async context in which timers are made: that of the registration, and of no request. */
  readonly #context = new AsyncResource('fastify-rxjs-sse')
  readonly batch = new WriteBatch()
  readonly encoder = new SharedEncoder(this.batch)
  readonly pausedSources = new PausedSources()
  readonly heartbeats = new SharedTimers<RegisteredStream>(
    (stream, interval) => stream.lastBeat + interval, { call: (stream) => stream.beat(), fail }, 1 / 100, this.#context)
  readonly stallChecks = new SharedTimers<RegisteredStream>(
    (_stream, timeout, last) => last + timeout / 10, { call: (stream) => stream.checkStall(), fail }, 1 / 10, this.#context)
  readonly expiries = new SharedTimers<RegisteredStream>(
    (stream) => stream.expiresAt, { call: (stream) => stream.expire(), fail }, 1 / 100, this.#context)
  #isClosing = false

  constructor (options: ServerOptions) {
    this.#options = options
  }

  /** How many streams are open. */
  get size (): number {
    return this.#streams.size
  }

  /** Whether the server is closing, so that a new stream has to end at once. */
  get isClosing (): boolean {
    return this.#isClosing
  }

  /** The option `maxConnections`, if no other stream may be opened by it; `null` if one may. */
  get exceededLimit (): ConnectionLimit | null {
    const { maxConnections } = this.#options
    return maxConnections !== null && this.#streams.size >= maxConnections.limit ? maxConnections : null
  }

  add (stream: RegisteredStream): void {
    this.#streams.add(stream)
  }

  delete (stream: RegisteredStream): void {
    this.#streams.delete(stream)
  }

  /**
   * Ends every stream, in this turn of the event loop. While a `preClose` hook runs, Fastify answers other requests
   * 503, and a browser that gets a 503 never reconnects: the hook must not wait.
   */
  close (): void {
    this.#isClosing = true
    callEach(this.#streams, (stream) => stream.shutdown(this.shutdownFrame()), fail)
    this.sessions.close()
    this.batch.flush()
    if (this.#streams.size + this.sessions.size === 0) return
    this.#context.runInAsyncScope(() => setTimeout(() => this.#destroyAll(), SHUTDOWN_GRACE).unref())
  }

  /** Makes the frame with a client's own random reconnection time; `null` without the option `shutdown.retry`. */
  shutdownFrame (): Frame | null {
    const { shutdownRetry } = this.#options
    if (shutdownRetry === null) return null
    const [min, max] = shutdownRetry
    return encodeRetry(min + Math.floor(Math.random() * (max - min + 1)))
  }

  #destroyAll (): void {
    callEach(this.#streams, (stream) => stream.destroyUnlessPipelined(), fail)
    this.sessions.destroy()
  }
}
