import type { FastifyRequest } from 'fastify'
import type { MessageEvent, SseValue } from './message.ts'

export type * from './event-log.ts'
export type { MessageEvent, SseEvents, SseMessage, SseValue } from './message.ts'

declare global {
  interface SymbolConstructor {
    /** The name of the interop method of Observables. RxJS 7 declares it in the same way. */
    readonly observable: symbol
  }
}

/**
 * An Observable, by what it can do: one of RxJS, of another library, or of the platform
 * (https://wicg.github.io/observable/).
 *
 * It is subscribed to in the call of `reply.sse()`, so that nothing of a hot source is lost, and unsubscribed from in
 * the turn of the event loop in which the stream ends. It cannot wait for a slow client: what that client has not taken
 * is held for it, up to `buffer.maxBytes`. What its teardown throws is logged; an Observable of the platform reports it
 * itself, which in Node is an uncaught exception.
 */
export interface SseObservable<T> {
  readonly subscribe: (observer: SseObserver<T>, options: { readonly signal: AbortSignal }) => unknown
}

/** The observer that an Observable is subscribed to with. */
interface SseObserver<T> {
  readonly next: (value: T) => void
  readonly error: (error: unknown) => void
  readonly complete: () => void
}

/**
 * What can be streamed: an Observable, a promise, an iterable, or a stream of objects (of Node, or of the web).
 *
 * Iterables and streams are pulled: one value at a time, and only while the client takes more. When the stream ends, an
 * iterator is asked to `return()`, a stream of Node is destroyed, and one of the web is cancelled. Strings, binary data
 * and streams of bytes are refused with `FST_SSE_INVALID_SOURCE`.
 */
export type SseInput<T = unknown> =
  | SseObservable<SseValue<T>>
  | { [Symbol.observable] (): SseObservable<SseValue<T>> }
  | AsyncIterable<SseValue<T>>
  | PromiseLike<SseValue<T>>
  | ArrayLike<SseValue<T>>
  | Iterable<SseValue<T>>
  | SseReadableStream<SseValue<T>>

/** A stream of the web (WHATWG Streams), as far as it is read. */
interface SseReadableStream<T> {
  getReader (): { read (): PromiseLike<{ done: false, value: T } | { done: true, value?: unknown }> }
}

/** The argument of a factory. */
export interface SseContext {
  /**
   * The id of the last event that this client has received: its `Last-Event-ID` header, decoded, or the query parameter
   * `lastEventIdQuery`. `undefined` if there is none, as in the first request of a browser. A client may send anything.
   */
  readonly lastEventId: string | undefined
  /**
   * A signal that fires when the stream ends, for whatever reason. Pass it on to what the source waits for: an async
   * generator that waits in an `await` cannot be ended in another way.
   */
  readonly signal: AbortSignal
  /** The request that is answered. */
  readonly request: FastifyRequest
}

/**
 * An event log, by what a stream needs of it. How it can be filtered is left out: a log of `T` would not be one of
 * `unknown`.
 */
interface SseLog<T> {
  append (message: never): unknown
  after (lastEventId?: string): AsyncIterable<SseValue<T>> | PromiseLike<AsyncIterable<SseValue<T>>>
}

/** A source that exists: an input, or an `EventLog`, which is read from the last event that the client has received. */
type SseInputOrLog<T> = SseInput<T> | SseLog<T>

/**
 * A function that makes the source of one connection, and may be async. It is called once, and not for HEAD, nor for a
 * client that has left or has received the end of its stream. What it throws fails the stream.
 *
 * @example
 * ```ts
 * app.get('/orders', (request, reply) => reply.sse(async function * ({ lastEventId, signal }) {
 *   for await (const order of readOrders({ after: lastEventId, signal })) yield { id: order.id, data: order }
 * }))
 * ```
 */
export type SseFactory<T = unknown> = (context: SseContext) => SseInputOrLog<T> | PromiseLike<SseInputOrLog<T>>

/**
 * The first argument of `reply.sse()`: a source, an `EventLog`, a promise of one, or a factory. A promise of a source
 * is that source; a promise of another value is a source of that value.
 */
export type SseSource<T = unknown> = SseInputOrLog<T> | SseFactory<T> | PromiseLike<SseInputOrLog<T>>

/**
 * A function that makes a string of `data`; it never gets strings. It is declared as a method, so that a serializer of
 * a narrower type is accepted.
 */
export type SseSerializer = { serialize (data: unknown): string }['serialize']

/** Why a stream ended. */
export type SseCloseReason =
  /** The source completed, and all of it was handed to the socket. */
  | 'complete'
  /** The client closed the connection. */
  | 'client'
  /** The source failed, a value could not be written, or a callback threw. */
  | 'error'
  /** More was pending for a slow client than `buffer.maxBytes`. */
  | 'overflow'
  /** Bytes were pending for a client, and none has left for `stallTimeout`. */
  | 'stalled'
  /** The stream has lasted for its `maxDuration`. */
  | 'expired'
  /** The option `signal` fired. */
  | 'aborted'
  /** The server is closing. */
  | 'shutdown'

/** The first argument of `onClose`: how a stream ended, and what was sent. */
export interface SseSummary {
  readonly reason: SseCloseReason
  /**
   * The error of the source, the value or the callback, if `reason` is `'error'`; an error whose message says what to
   * do, if it is `'overflow'` or `'stalled'`; `undefined` otherwise.
   */
  readonly error: unknown
  /** The time from the sending of the response headers to the end of the stream, in milliseconds. */
  readonly duration: number
  /** How many values of the source were handed to the connection. */
  readonly events: number
  /** How many bytes of the body were handed to the connection, heartbeats included. */
  readonly bytes: number
  /** How many values of the source were dropped or replaced, because the client read more slowly than they came. */
  readonly dropped: number
}

/** What happens when more would be pending for a slow client than `buffer.maxBytes`. */
export type SseOverflow =
  /**
   * The connection is closed. If the messages have ids, the client resumes without loss: no other policy can promise
   * that.
   */
  | 'disconnect'
  /** The oldest pending messages are dropped. */
  | 'drop-oldest'
  /** The new message is dropped. */
  | 'drop-newest'
  /**
   * While messages are pending, only the newest of each key is kept. It takes the place of the one before it. One with
   * an id goes to the end instead: a client that resumes from that id would otherwise miss those in between. A message
   * whose key is `undefined` is never replaced. If more than `maxBytes` is pending even so, the connection is closed.
   */
  | { latest (message: MessageEvent): unknown }

/**
 * How much may be pending for one client that reads more slowly than its source emits. If it is given in several
 * places, the nearest value of each member wins.
 */
export interface SseBufferOptions {
  /**
   * The bound of the pending bytes, in the queue and in the socket; each message in the queue counts for 128 bytes
   * more. If nothing is pending, one message is always accepted, however large it is.
   * @default 4194304
   */
  readonly maxBytes?: number | undefined
  /**
   * What happens beyond that bound.
   * @default 'disconnect'
   */
  readonly overflow?: SseOverflow | undefined
}

/**
 * The options of a stream. They can be given at registration, for all streams; as the route option `sse`, for those of
 * a route; and to `reply.sse()`, for one. The nearest wins, but for `onOpen` and `onClose`, of which all are called.
 */
export interface SseOptions {
  /**
   * After how many milliseconds without a write a comment is sent, so that proxies keep the connection open. With
   * `message`, that event is sent instead, which scripts can see. `false` turns heartbeats off.
   * @default 15000
   */
  readonly heartbeat?: number | false | { readonly interval: number, readonly message: SseValue } | undefined
  /**
   * How long the browser waits before it reconnects, in milliseconds (WHATWG HTML, 9.2.6). It is sent first of all.
   * @default none, so that the browser decides; 3000 with `shutdown.retry` or `maxConnections`
   */
  readonly retry?: number | undefined
  /**
   * When the response headers are sent. `'immediately'`: with the first event, and at the latest in the next
   * `setImmediate`. `'first-event'`: with the first event, however long that takes; an error before that is answered by
   * the error handler, with its status code.
   * @default 'immediately'
   */
  readonly open?: 'immediately' | 'first-event' | undefined
  /**
   * Makes a string of `data` that is not a string. If it throws, or returns something else, the stream fails with
   * `FST_SSE_SERIALIZATION`.
   * @default the serializer of the response schema for `text/event-stream`, if the route has one; otherwise
   * JSON.stringify
   */
  readonly serializer?: SseSerializer | undefined
  /**
   * How much may be pending for a slow client, and what happens beyond that. Sources that can wait are made to wait.
   */
  readonly buffer?: SseBufferOptions | undefined
  /**
   * After how many milliseconds the connection is closed if bytes are pending in Node and none of them leaves: the
   * client has stopped reading, or is gone.
   * @default 30000
   */
  readonly stallTimeout?: number | undefined
  /**
   * How many milliseconds a stream lasts at most. It ends after a random 80 to 100 % of that, whether or not the source
   * emits, and the browser reconnects. `false` sets no bound.
   * @default false
   */
  readonly maxDuration?: number | false | undefined
  /**
   * Whether a message is encoded once for all connections that are sent it in one turn of the event loop. Set it to
   * `false` if `data` is changed in place and emitted to other connections within that turn.
   * @default true
   */
  readonly encodeOnce?: boolean | undefined
  /**
   * The former name of `encodeOnce`.
   * @deprecated Use `encodeOnce`. The next minor version refuses this option.
   */
  readonly share?: boolean | undefined
  /**
   * Whether the browser is told not to reconnect when the source completes. The last event has a reserved id; a request
   * with that id is answered 204, after which a browser does not reconnect (WHATWG HTML, 9.2.3). The `type` of that
   * event is `'end'`, and its `data` is empty, if nothing else is given.
   * @default false
   */
  readonly finite?: boolean | { readonly type?: string | undefined, readonly data?: unknown } | undefined
  /**
   * The name of a query parameter that is taken for the `Last-Event-ID` of a request without that header.
   * @default none
   */
  readonly lastEventIdQuery?: string | undefined
  /**
   * Returns the last event of a stream whose source has failed after the response headers were sent; `undefined` for
   * none. After it the connection is broken, so that the failure does not look like the end of the source. Without this
   * option, nothing of the error reaches the client.
   * @default none
   */
  readonly onError?: ((error: unknown) => SseValue | undefined) | undefined
  /**
   * Called when the response headers are sent. If it throws, the stream fails.
   * @default none
   */
  readonly onOpen?: ((request: FastifyRequest) => void) | undefined
  /**
   * Called exactly once for each call of `onOpen`, when the stream is over. What it throws is logged.
   * @default none
   */
  readonly onClose?: ((summary: SseSummary, request: FastifyRequest) => void) | undefined
  /**
   * A signal that ends the stream when it fires: when a token expires, for example. If it has fired before, the
   * response has headers and no event, and the source is never subscribed to.
   * @default none
   */
  readonly signal?: AbortSignal | undefined
}

/**
 * The options at registration: those of `SseOptions`, for all streams, and those of the server.
 *
 * @example
 * ```ts
 * await app.register(sse, { heartbeat: 30_000, maxConnections: 10_000, shutdown: { retry: [1000, 5000] } })
 * ```
 */
export interface SsePluginOptions extends SseOptions {
  /**
   * How many streams may be open at once, and how the next request is answered. `'retry'` is an empty stream with a
   * `retry:`, after which browsers reconnect. `503` is the error `FST_SSE_MAX_CONNECTIONS`, after which `EventSource`
   * gives up. A number is the limit, with `'retry'`.
   * @default none
   */
  readonly maxConnections?: number | { readonly limit: number, readonly answer?: 'retry' | 503 | undefined } | undefined
  /** What clients are sent when the server closes. */
  readonly shutdown?: {
    /**
     * The range of a random reconnection time, in milliseconds, that each client is sent before its stream is ended, so
     * that not all of them reconnect at once. Each new stream then begins with the option `retry`, as browsers keep a
     * reconnection time until another comes.
     * @default none
     */
    readonly retry?: readonly [min: number, max: number] | undefined
  } | undefined
}
