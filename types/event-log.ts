import type { MessageEvent, SseMessage, SseValue } from './message.ts'

/**
 * A log of events, from which clients resume. Each event gets an id when it is appended. A client that reconnects sends
 * the id of the last event that it has received (WHATWG HTML, 9.2.4, "The `Last-Event-ID` header"), and is sent the
 * events after that.
 *
 * A log is a source: `reply.sse(log)` sends what `log.after()` returns for the id of the request. There are
 * `MemoryEventLog`, and `RedisEventLog` in `fastify-rxjs-sse/redis`. Any object with these two methods is a log, too.
 */
export interface EventLog<T = unknown> {
  /**
   * Appends an event and gives it an id. `data` is kept as JSON, as it is at the call: a later change of the object
   * does not change the log, and readers get what `JSON.parse` makes of it. Slow readers do not delay an append.
   *
   * @param message a message with `data` or a `type`, and without an `id`; or a bare value, which becomes its `data`
   * @returns the event's id, once the log has the event
   * @throws `FST_SSE_INVALID_MESSAGE`, `FST_SSE_UNKNOWN_FIELD`, `FST_SSE_INVALID_FIELD`, `FST_SSE_SERIALIZATION` if the
   * message cannot be sent. The promise rejects with the error, and the log is not changed.
   * @example
   * const id = await orders.append({ type: 'placed', data: order })
   */
  append (message: SseValue<T>): Promise<string>
  /**
   * Returns the events after the one with this id, and then those that are appended later, in order, each once. Each
   * loop, subscription or stream reads for itself, from this id on.
   *
   * A reader that has missed events is first given a gap, which is the message that the option `gap` makes, and then
   * everything that the log holds. That is so if the log does not know the id or does not hold the next event any more.
   * It also happens later, to a reader that is too slow for the log's bounds: events are read at the speed of the
   * client, and do not wait for it anywhere else.
   *
   * Reading ends when the client leaves, when the loop over it is left, or when `signal` fires. A loop inside an async
   * generator needs `signal`: without it, it ends only with the next event.
   *
   * @param lastEventId the id of the last event that the client has received. Without one, or with `''`, the option
   * `from` decides where reading begins.
   * @param options which events the reader gets, and when it ends
   * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`
   * @example
   * app.get('/orders', (request, reply) => reply.sse(
   *   orders.after(request.lastEventId, { filter: ({ data }) => data?.customer === request.user.id })
   * ))
   */
  after (lastEventId?: string, options?: EventLogFilter<T>): AsyncIterable<SseMessage<T>>
  after (lastEventId: string | undefined, options: EventLogReadOptions<T> | undefined): AsyncIterable<MessageEvent>
}

/** An event of a log: a message with an id. */
export type LoggedEvent<T = unknown> = SseMessage<T> & { readonly id: string }

/** Options of `after()` for a reader that gets events as they are in the log. */
export interface EventLogFilter<T = unknown> {
  /**
   * Decides whether the reader gets an event. What it throws fails the reader, and a promise as its answer is refused
   * with `FST_SSE_INVALID_OPTION`. It is called for each reader with the same `data`, which it must not change.
   * @default the reader gets every event
   */
  readonly filter?: { filter (event: LoggedEvent<T>): boolean }['filter'] | undefined
  readonly map?: undefined
  /**
   * Ends reading at once when it fires. The `signal` of a factory's context is one that fires when the client leaves.
   * @default none
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of `after()` for a reader that gets other messages in the place of the log's events. */
export interface EventLogMap<T = unknown, U = unknown> extends Omit<EventLogFilter<T>, 'map'> {
  /**
   * Makes the message that the reader gets in the place of an event. The message has the event's id, whatever its own.
   * What it throws fails the reader. It is called for each reader with the same `data`, which it must not change.
   */
  readonly map: { map (event: LoggedEvent<T>): SseValue<U> }['map']
}

/** Options of `after()`. */
export type EventLogReadOptions<T = unknown, U = unknown> = EventLogFilter<T> | EventLogMap<T, U>

/** What is known of the events that a reader has missed. */
export interface EventLogGap {
  /** The id after which events are missing, or `null` if it is longer than an id may be or has other characters. */
  readonly lastEventId: string | null
  /** The id of the oldest event that the log holds, with which the reader goes on, or `null` if it holds none. */
  readonly oldest: string | null
}

/** Options of every event log. */
export interface EventLogOptions {
  /**
   * The number of events that the log holds, from 1. Older ones are released, and readers that were not sent them yet
   * are given a gap.
   * @default 10000
   */
  readonly maxEvents?: number | undefined
  /**
   * The size of the events that this process holds in memory, in bytes, in which each counts with 128 more. The newest
   * is held however large it is.
   * @default 16777216
   */
  readonly maxBytes?: number | undefined
  /**
   * The age, in milliseconds, up to which the log holds an event; `false` for no limit.
   * @default false
   */
  readonly maxAge?: number | false | undefined
  /**
   * The place at which a reader without an id begins: `'now'`, with the next event that is appended, or `'start'`,
   * with the oldest that is held.
   * @default 'now'
   */
  readonly from?: 'now' | 'start' | undefined
  /**
   * Makes the message for a reader that has missed events. It returns `undefined` to send none. What it throws fails
   * the reader.
   * @default gap => ({ type: 'gap', data: JSON.stringify(gap) })
   */
  readonly gap?: ((gap: EventLogGap) => SseValue | undefined) | undefined
}

/** A logger for an event log: that of Fastify, `app.log`, or another with these two methods. */
export interface EventLogLogger {
  /** Logs that Redis cannot be read, or that an entry of a stream is no event. `details` has the error as `err`. */
  warn (details: object, message: string): void
  /** Logs that Redis can be read again. */
  info (details: object, message: string): void
}
