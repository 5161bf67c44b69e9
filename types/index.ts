import type { FastifyRequest } from 'fastify'
import type { MessageEvent, SseValue } from './message.ts'

export type * from './event-log.ts'
export type { MessageEvent, SseEvents, SseMessage, SseValue } from './message.ts'

declare global {
  interface SymbolConstructor {
    /** The name of the interop method of Observables, as RxJS 7 declares it too. */
    readonly observable: symbol
  }
}

/**
 * An Observable, by what it can do: RxJS's, another library's, or the platform's (https://wicg.github.io/observable/).
 * It is subscribed to at once, and unsubscribed from when the stream ends. It cannot wait for a slow client: what that
 * client has not taken yet is held, up to `buffer.maxBytes`.
 */
export interface SseObservable<T> {
  readonly subscribe: (observer: SseObserver<T>, options: { readonly signal: AbortSignal }) => unknown
}

/** What an Observable is subscribed to with. */
interface SseObserver<T> {
  readonly next: (value: T) => void
  readonly error: (error: unknown) => void
  readonly complete: () => void
}

/** What can be streamed: an Observable, a promise, an iterable, or a stream of objects. */
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

/** What a factory is given. */
export interface SseContext {
  /** The id of the last event that this client has seen, from its `Last-Event-ID` header or the `lastEventIdQuery`. */
  readonly lastEventId: string | undefined
  /** Fires when the stream ends, whatever the reason: hand it to what the source waits for. */
  readonly signal: AbortSignal
  readonly request: FastifyRequest
}

/** An `EventLog`, as far as a stream uses it: with how it can be filtered, one for `T` would not do for `unknown`. */
interface SseLog<T> {
  append (message: never): unknown
  after (lastEventId?: string): AsyncIterable<SseValue<T>> | PromiseLike<AsyncIterable<SseValue<T>>>
}

/** A source, or an `EventLog`, which is read from where the client left off. */
type SseInputOrLog<T> = SseInput<T> | SseLog<T>

/** Makes a source for one connection; not called for HEAD, for a client that has left, or that has seen the end. */
export type SseFactory<T = unknown> = (context: SseContext) => SseInputOrLog<T> | PromiseLike<SseInputOrLog<T>>

/** The first argument of `reply.sse()`. A promise of a source is that source. */
export type SseSource<T = unknown> = SseInputOrLog<T> | SseFactory<T> | PromiseLike<SseInputOrLog<T>>

/** `data` that is not a string → the string to send. A method's type, so that one for a narrower type is taken. */
export type SseSerializer = { serialize (data: unknown): string }['serialize']

/** Why a stream ended. */
export type SseCloseReason =
  /** The source completed, and all of it was handed to the socket. */
  | 'complete'
  /** The client left. */
  | 'client'
  /** The source, a value, or one of the callbacks failed. */
  | 'error'
  /** More waited for a slow client than `buffer.maxBytes`. */
  | 'overflow'
  /** Bytes waited for a client, and none left for `stallTimeout`. */
  | 'stalled'
  /** The stream was as old as `maxDuration` allows. */
  | 'expired'
  /** The option `signal` fired. */
  | 'aborted'
  /** The server closes. */
  | 'shutdown'

/** What `onClose` is told. */
export interface SseSummary {
  readonly reason: SseCloseReason
  /** What failed, where `reason` is `'error'`; what to do about it, where it is `'overflow'` or `'stalled'`. */
  readonly error: unknown
  /** From the head to the end, in milliseconds. */
  readonly duration: number
  /** How many values of the source were handed to the connection. */
  readonly events: number
  /** How many bytes of the body were handed to the connection, heartbeats included. */
  readonly bytes: number
  /** How many values of the source were dropped or replaced, because the client was slower than the source. */
  readonly dropped: number
}

/** What happens when more would wait for a slow client than `buffer.maxBytes`. */
export type SseOverflow =
  /** The connection is dropped. With ids, the client resumes without loss: the only policy for which that holds. */
  | 'disconnect'
  /** The oldest that wait are dropped. */
  | 'drop-oldest'
  /** What comes is dropped. */
  | 'drop-newest'
  /**
   * While anything waits, only the newest message of each key does: it takes the place of the one before it, or, where
   * it has an id, the tail, as a client that resumes from it would miss those in between. A message whose key is
   * `undefined` is never replaced. Past `maxBytes` even so, the connection is dropped.
   */
  | { latest (message: MessageEvent): unknown }

/** What may wait for one slow client. Given in several places, its members are merged one by one. */
export interface SseBufferOptions {
  /**
   * Bytes, in the queue and in the socket, with 128 for each event that waits. One event is always taken when nothing
   * waits, however large.
   * @default 4194304
   */
  readonly maxBytes?: number | undefined
  /** @default 'disconnect' */
  readonly overflow?: SseOverflow | undefined
}

/**
 * Options of a stream: at registration for all streams, at the call for one. The nearest wins; `onOpen` and `onClose`
 * add up.
 */
export interface SseOptions {
  /**
   * After how many milliseconds of silence something is sent, so that proxies and scripts see a live connection:
   * a comment, or, with `message`, that event. `false` for never.
   * @default 15000
   */
  readonly heartbeat?: number | false | { readonly interval: number, readonly message: SseValue } | undefined
  /**
   * The first thing sent: how many milliseconds the browser waits before it reconnects.
   * @default none; 3000 with `shutdown.retry` or `maxConnections`
   */
  readonly retry?: number | undefined
  /**
   * When the head leaves. `'immediately'`: with the first event, and at the latest in the next `setImmediate`.
   * `'first-event'`: with the first event, however long that takes; what fails before that is answered by the error
   * handler with its status.
   * @default 'immediately'
   */
  readonly open?: 'immediately' | 'first-event' | undefined
  /**
   * `data` that is not a string → the string to send. What it throws, or gives that is no string, fails the stream.
   * @default JSON.stringify
   */
  readonly serializer?: SseSerializer | undefined
  /** What may wait for a client that is slower than its source. Sources that can wait are made to. */
  readonly buffer?: SseBufferOptions | undefined
  /**
   * Bytes wait in Node and none has left for that many milliseconds: the connection is dropped.
   * @default 30000
   */
  readonly stallTimeout?: number | undefined
  /**
   * The stream ends after a random 80 to 100 % of that many milliseconds, whether or not the source emits; the browser
   * comes back. `false` for never.
   * @default false
   */
  readonly maxDuration?: number | false | undefined
  /**
   * Whether a message is encoded once for all connections that get it in one turn of the event loop. Set it to `false`
   * where `data` is changed in place and emitted to other connections within a turn.
   * @default true
   */
  readonly encodeOnce?: boolean | undefined
  /** @deprecated The former name of `encodeOnce`; the next minor version refuses it. */
  readonly share?: boolean | undefined
  /**
   * When the source completes, tell the browser not to come back: a last event, whose `type` is `'end'` and whose
   * `data` is empty unless given here, carries a reserved id, and a request with that id is answered 204.
   * @default false
   */
  readonly finite?: boolean | { readonly type?: string | undefined, readonly data?: unknown } | undefined
  /** The query parameter that may stand in for the `Last-Event-ID` header, which wins where both are. */
  readonly lastEventIdQuery?: string | undefined
  /**
   * The last event of a stream whose source failed after its head had left; without one nothing is sent. The connection
   * is broken after it, so that the failure does not look like an end.
   */
  readonly onError?: ((error: unknown) => SseValue | undefined) | undefined
  /** The head leaves. If it throws, the stream fails. */
  readonly onOpen?: ((request: FastifyRequest) => void) | undefined
  /** The stream is over: called exactly once for each `onOpen`. */
  readonly onClose?: ((summary: SseSummary, request: FastifyRequest) => void) | undefined
  /** Ends the stream when it fires. One that has already fired: head and end, the source is never subscribed. */
  readonly signal?: AbortSignal | undefined
}

/** Options at registration. */
export interface SsePluginOptions extends SseOptions {
  /**
   * How many streams may be open at once. Past that, `answer: 'retry'` is an empty 200 stream with a `retry:`, after
   * which browsers come back; `answer: 503` is an error, `FST_SSE_MAX_CONNECTIONS`, after which `EventSource` gives up.
   * A number is the limit, with `'retry'`.
   * @default none
   */
  readonly maxConnections?: number | { readonly limit: number, readonly answer?: 'retry' | 503 | undefined } | undefined
  readonly shutdown?: {
    /**
     * When the server closes, each client is first given its own reconnection time, in milliseconds, at random between
     * these two, so that a restart is not a stampede. Each opening sends `retry`, as browsers keep what they were told.
     */
    readonly retry?: readonly [min: number, max: number] | undefined
  } | undefined
}
