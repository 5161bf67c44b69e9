import { AsyncResource } from 'node:async_hooks'
import type { ConnectionLimit, ServerOptions } from '../options.ts'
import { PausedSources } from '../source/paused-sources.ts'
import { encodeRetry } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import { Sessions } from './http2-sessions.ts'
import { SharedEncoder } from './shared-encoder.ts'
import { SharedTimers } from './shared-timers.ts'
import { WriteBatch } from './write-batch.ts'

/** What the registry asks of a stream. */
export interface RegisteredStream {
  /** When something was last written or due. This time and the next ones are by `performance.now()`. */
  readonly lastBeat: number
  /** It was silent for the whole interval of its heartbeat. */
  beat (): void
  /** Called several times within `stallTimeout`. */
  checkStall (): void
  readonly expiresAt: number
  expire (): void
  /** Unsubscribes and ends at once; `shutdownFrame` goes out before. */
  shutdown (shutdownFrame: Frame | null): void
  /** Drops the connection. */
  destroyUnlessPipelined (): void
}

/** How long a client may take to receive what it is owed when the server closes, in milliseconds. */
const SHUTDOWN_GRACE = 500

/** All streams of one server. */
export class Registry {
  readonly #options: ServerOptions
  readonly #streams: Set<RegisteredStream>
  readonly sessions: Sessions
  /** Where timers are made: in no request's async context. */
  readonly #context: AsyncResource
  readonly batch: WriteBatch
  readonly encoder: SharedEncoder
  readonly pausedSources: PausedSources
  readonly heartbeats: SharedTimers<RegisteredStream>
  readonly stallChecks: SharedTimers<RegisteredStream>
  readonly expiries: SharedTimers<RegisteredStream>
  #isClosing: boolean

  constructor (options: ServerOptions) {
    this.#options = options
    this.#streams = new Set()
    this.sessions = new Sessions()
    this.#context = new AsyncResource('fastify-rxjs-sse')
    this.batch = new WriteBatch()
    this.encoder = new SharedEncoder(this.batch)
    this.pausedSources = new PausedSources()
    this.heartbeats = new SharedTimers(
      (stream, interval) => stream.lastBeat + interval, (stream) => stream.beat(), 1 / 100, this.#context)
    this.stallChecks = new SharedTimers(
      (_stream, timeout, last) => last + timeout / 10, (stream) => stream.checkStall(), 1 / 10, this.#context)
    this.expiries = new SharedTimers(
      (stream) => stream.expiresAt, (stream) => stream.expire(), 1 / 100, this.#context)
    this.#isClosing = false
  }

  get size (): number {
    return this.#streams.size
  }

  get isClosing (): boolean {
    return this.#isClosing
  }

  /** The limit, where there are as many streams as there may be. */
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
   * Ends every stream, in this very turn: while `preClose` hooks run, Fastify answers 503, and a browser that gets a
   * 503 never reconnects.
   */
  close (): void {
    this.#isClosing = true
    for (const stream of this.#streams) stream.shutdown(this.shutdownFrame())
    this.sessions.close()
    this.batch.flush()
    if (this.#streams.size + this.sessions.size === 0) return
    this.#context.runInAsyncScope(() => setTimeout(() => this.#destroyAll(), SHUTDOWN_GRACE).unref())
  }

  /** The client's own random time to wait until it reconnects, where that was asked for. */
  shutdownFrame (): Frame | null {
    const { shutdownRetry } = this.#options
    if (shutdownRetry === null) return null
    const [min, max] = shutdownRetry
    return encodeRetry(min + Math.floor(Math.random() * (max - min + 1)))
  }

  #destroyAll (): void {
    for (const stream of this.#streams) stream.destroyUnlessPipelined()
    this.sessions.destroy()
  }
}
