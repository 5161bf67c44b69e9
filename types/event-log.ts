import type { MessageEvent, SseMessage, SseValue } from './message.ts'

/**
 * Events in the order in which they were appended, each with an id, so that a client that comes back with the id of the
 * last one that it has seen goes on from there. A log is a source: `reply.sse(log)` resumes by itself.
 */
export interface EventLog<T = unknown> {
  /**
   * Gives the event its id, and resolves with it when the log has it. `data` is kept as JSON, as it is now: an object
   * that is changed later is not changed in the log, and readers get what `JSON.parse` makes of it.
   *
   * Rejects with what is wrong with a message, which must have `data` or a `type`, and no `id`.
   */
  append (message: SseValue<T>): Promise<string>
  /**
   * Everything after the event with this id, and then what comes, in order, without a gap and without a repeat; without
   * an id, or with `''`, from where `from` says. It is pulled at the reader's speed, and ends when the reader leaves.
   *
   * What cannot be contiguous begins with a gap: the id is unknown, malformed, of another log, or its successor is not
   * held any more. Then comes `gap`'s message, and all that is held.
   */
  after (lastEventId?: string, options?: EventLogFilter<T>): AsyncIterable<SseMessage<T>>
  after (lastEventId: string | undefined, options: EventLogReadOptions<T> | undefined): AsyncIterable<MessageEvent>
}

/** An event of a log. */
export type LoggedEvent<T = unknown> = SseMessage<T> & { readonly id: string }

export interface EventLogFilter<T = unknown> {
  /**
   * Which events the reader gets. It is called for each reader: `data` is made once for all of them, so leave it as it
   * is.
   */
  readonly filter?: { filter (event: LoggedEvent<T>): boolean }['filter'] | undefined
  readonly map?: undefined
  /**
   * Ends what is read, at once: for an async generator that reads a log, and would hear that its own reader has left
   * only with the next event.
   */
  readonly signal?: AbortSignal | undefined
}

export interface EventLogMap<T = unknown, U = unknown> extends Omit<EventLogFilter<T>, 'map'> {
  /** What the reader gets in the event's stead. Its id is that of the event. */
  readonly map: { map (event: LoggedEvent<T>): SseValue<U> }['map']
}

export type EventLogReadOptions<T = unknown, U = unknown> = EventLogFilter<T> | EventLogMap<T, U>

/** What a reader has missed. */
export interface EventLogGap {
  /** The id that was asked for; `null` where it is longer than an id may be, or has characters that no id has. */
  readonly lastEventId: string | null
  /** The id of the oldest event that is held, with which it goes on; `null` where none is. */
  readonly oldest: string | null
}

export interface EventLogOptions {
  /**
   * How many events the log holds.
   * @default 10000
   */
  readonly maxEvents?: number | undefined
  /**
   * How many bytes of events this process holds, with 128 for each event. The newest is always held.
   * @default 16777216
   */
  readonly maxBytes?: number | undefined
  /**
   * For how many milliseconds the log holds an event. `false` for ever.
   * @default false
   */
  readonly maxAge?: number | false | undefined
  /**
   * Where a reader without an id begins: with what comes, or with the oldest that is held.
   * @default 'now'
   */
  readonly from?: 'now' | 'start' | undefined
  /**
   * What a reader gets that has missed something; `undefined` for nothing.
   * @default gap => ({ type: 'gap', data: JSON.stringify(gap) })
   */
  readonly gap?: ((gap: EventLogGap) => SseValue | undefined) | undefined
}

/** What is told of an event log: a Fastify logger, or any that has these two. */
export interface EventLogLogger {
  warn (details: object, message: string): void
  info (details: object, message: string): void
}
