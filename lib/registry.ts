import { AsyncResource } from 'node:async_hooks'
import type { Http2Session } from 'node:http2'
import type { RetryRange } from './options.ts'
import { encodeRetry } from './frame.ts'
import type { Frame } from './frame.ts'
import { Heartbeats } from './heartbeats.ts'
import type { Beating } from './heartbeats.ts'

/** What the registry asks of a stream. */
export interface RegisteredStream extends Beating {
  /** Unsubscribes and ends at once; `farewell` goes out before. */
  shutdown (farewell: Frame | null): void
  /** Drops the connection. */
  abandon (): void
}

/** How long a client may take to receive what it is owed when the server closes, in milliseconds. */
const SHUTDOWN_GRACE = 500

/** All streams of one server. */
export class Registry {
  readonly #shutdownRetry: RetryRange | null
  readonly #streams: Set<RegisteredStream>
  readonly #heartbeats: Map<number, Heartbeats>
  readonly #sessions: Set<Http2Session>
  /** Where timers are made: in no request's async context. */
  readonly #context: AsyncResource
  #isClosing: boolean

  constructor (shutdownRetry: RetryRange | null) {
    this.#shutdownRetry = shutdownRetry
    this.#streams = new Set()
    this.#heartbeats = new Map()
    this.#sessions = new Set()
    this.#context = new AsyncResource('fastify-rxjs-sse')
    this.#isClosing = false
  }

  get size (): number {
    return this.#streams.size
  }

  get isClosing (): boolean {
    return this.#isClosing
  }

  add (stream: RegisteredStream): void {
    this.#streams.add(stream)
  }

  delete (stream: RegisteredStream): void {
    this.#streams.delete(stream)
  }

  startHeartbeat (stream: RegisteredStream, interval: number): void {
    let heartbeats = this.#heartbeats.get(interval)
    if (heartbeats === undefined) {
      heartbeats = new Heartbeats(interval, this.#context)
      this.#heartbeats.set(interval, heartbeats)
    }
    heartbeats.add(stream)
  }

  stopHeartbeat (stream: RegisteredStream, interval: number): void {
    const heartbeats = this.#heartbeats.get(interval)
    heartbeats?.delete(stream)
    if (heartbeats?.size === 0) this.#heartbeats.delete(interval)
  }

  /** On Node 20, a server waits for the HTTP/2 sessions that its clients keep open. */
  addSession (session: Http2Session): void {
    if (this.#sessions.has(session)) return
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
  }

  /**
   * Ends every stream, in this very turn: while `preClose` hooks run, Fastify answers 503, and a browser that gets a 503
   * never reconnects.
   */
  close (): void {
    this.#isClosing = true
    for (const stream of this.#streams) stream.shutdown(this.farewell())
    for (const session of this.#sessions) session.close()
    if (this.#streams.size > 0) this.#context.runInAsyncScope(() => setTimeout(() => this.#abandonAll(), SHUTDOWN_GRACE).unref())
  }

  /** The client's own random time to wait until it reconnects, where that was asked for. */
  farewell (): Frame | null {
    if (this.#shutdownRetry === null) return null
    const [min, max] = this.#shutdownRetry
    return encodeRetry(min + Math.floor(Math.random() * (max - min + 1)))
  }

  #abandonAll (): void {
    for (const stream of this.#streams) stream.abandon()
  }
}
