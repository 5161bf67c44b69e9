import type {
  EventLog, EventLogFilter, EventLogLogger, EventLogMap, EventLogOptions, EventLogReadOptions
} from '../../../types/event-log.ts'
import type { MessageEvent, SseMessage, SseValue } from '../../../types/index.ts'
import { MAX_DELAY, checkMilliseconds, checkOptions, checkText, invalidOption } from '../../check.ts'
import { FST_SSE_LOG_UNAVAILABLE } from '../../errors.ts'
import { preview } from '../../preview.ts'
import { contentOf } from '../entry.ts'
import { LOG_OPTION_NAMES, resolveLastEventId, resolveLogOptions, resolveReadOptions } from '../options.ts'
import type { ResolvedLogOptions } from '../options.ts'
import { LogRange } from '../range.ts'
import { checkClient, sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { RedisCursor } from './cursor.ts'
import { fieldsOf } from './entry.ts'
import { RedisStream } from './stream.ts'

export type { RedisClient } from './client.ts'

export interface RedisEventLogOptions extends EventLogOptions {
  /**
   * The official client, `createClient()` of the package `redis`, version 5 or 6, connected. It sends the appends and
   * reads the older events. New events are read on one more connection, which all logs of this client share. Clusters,
   * pools, sentinels and clients of other packages are refused.
   */
  readonly client: RedisClient
  /** The key of the Redis stream. */
  readonly key: string
  /**
   * The time in milliseconds after which `append()` rejects if Redis has not answered.
   * @default 5000
   */
  readonly appendTimeout?: number | undefined
  /**
   * The logger that gets a warning when Redis cannot be read and an info when it can again, each once, and a warning
   * for each entry of the stream that is no event: `app.log`, for example.
   * @default warnings go to `process.emitWarning`
   */
  readonly logger?: EventLogLogger | undefined
}

const OPTION_NAMES = ['client', 'key', 'appendTimeout', 'logger', ...LOG_OPTION_NAMES] as const satisfies
  ReadonlyArray<keyof RedisEventLogOptions>

/** The shortest time between two trims by age, in milliseconds: an append itself trims by the number of events only. */
const TRIM_INTERVAL = 1_000

/**
 * An event log on a Redis stream, from which browsers resume on any machine. The ids are those of the stream's entries.
 *
 * `maxEvents` and `maxAge` bound the stream. Redis trims it by whole nodes, and may so hold somewhat more. `maxBytes`
 * bounds the events that this process holds in memory. Older ones are read from Redis in pages.
 *
 * A slow client is read for at its own speed, and holds up neither the log nor other readers. If it falls behind what
 * Redis holds, it gets a gap and goes on with the oldest event.
 *
 * While Redis cannot be reached, readers wait, and then go on where they were. The log has nothing to close: without
 * readers its connection does not keep the process alive, and is closed when the client is. Nothing is sent to Redis
 * before the first `append()` or reader.
 *
 * @param options the client and the key, the log's bounds, where a reader without an id begins, and what a gap sends
 * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION` if the options are wrong
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL }).connect()
 * const orders = new RedisEventLog<Order>({ client, key: 'orders', maxEvents: 100_000, logger: app.log })
 * app.get('/orders', (request, reply) => reply.sse(orders)) // resumes after the request's Last-Event-ID
 * await orders.append({ type: 'placed', data: order })
 */
export class RedisEventLog<T = unknown> implements EventLog<T> {
  readonly #options: ResolvedLogOptions
  readonly #client: RedisClient
  readonly #key: string
  readonly #appendTimeout: number
  readonly #stream: RedisStream
  /** The time of the last trim by age, in milliseconds since 1970. */
  #trimmedAt = 0

  constructor (options: RedisEventLogOptions) {
    const members = checkOptions(options ?? {}, OPTION_NAMES)
    const { client, key, appendTimeout = 5_000, logger = WARNINGS } = members
    this.#options = resolveLogOptions(members)
    this.#client = checkClient(client)
    this.#key = checkText('key', key, 'a string')
    this.#appendTimeout = checkMilliseconds('appendTimeout', appendTimeout, 1, MAX_DELAY)
    this.#stream = new RedisStream(this.#key, this.#client, this.#options.bounds, checkLogger(logger))
  }

  /**
   * Appends an event, as `EventLog.append()` describes.
   *
   * @param message a message with `data` or a `type`, and without an `id`; or a bare value, which becomes its `data`
   * @returns the event's id
   * @throws `FST_SSE_LOG_UNAVAILABLE` if Redis has not confirmed the event within `appendTimeout`. The message says
   * whether the log may have it all the same: if so, it comes twice if it is appended again.
   * @throws `FST_SSE_INVALID_MESSAGE`, `FST_SSE_UNKNOWN_FIELD`, `FST_SSE_INVALID_FIELD`, `FST_SSE_SERIALIZATION` if the
   * message cannot be sent
   * @example
   * const id = await orders.append({ type: 'placed', data: order })
   */
  async append (message: SseValue<T>): Promise<string> {
    const fields = fieldsOf(contentOf(message))
    const { maxEvents } = this.#options.bounds
    try {
      const id = await sendWithin(
        this.#client, ['XADD', this.#key, 'MAXLEN', '~', String(maxEvents), '*', ...fields], this.#appendTimeout)
      this.#trimByAge()
      return String(id)
    } catch (cause) {
      throw new FST_SSE_LOG_UNAVAILABLE(isRefusal(cause)
        ? 'the log does not have it'
        : 'the log may have it all the same: appended again, it may come twice', { cause })
    }
  }

  /**
   * Returns the events after the one with this id, and then those that are appended later, as `EventLog.after()`
   * describes. A reader that has missed events is first given a gap.
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
  /**
   * Returns the same events, each as the message that the option `map` makes of it.
   *
   * @param lastEventId the id of the last event that the client has received. Without one, or with `''`, the option
   * `from` decides where reading begins.
   * @param options which events the reader gets, in what form, and when it ends
   * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`
   * @example
   * app.get('/orders', (request, reply) => reply.sse(
   *   orders.after(request.lastEventId, { map: ({ type, data }) => ({ type, data: data?.number }) })
   * ))
   */
  after<U> (lastEventId: string | undefined, options: EventLogMap<T, U>): AsyncIterable<SseMessage<U>>
  after (lastEventId: string | undefined, options: EventLogReadOptions<T> | undefined): AsyncIterable<MessageEvent>
  after (lastEventId?: string, options: object = {}): AsyncIterable<never> {
    const id = resolveLastEventId(lastEventId)
    const openCursor = (wake: () => void): RedisCursor => new RedisCursor(this.#stream, id, this.#options.from, wake)
    return new LogRange<never>(openCursor, this.#options, resolveReadOptions(options))
  }

  #trimByAge (): void {
    const { maxAge } = this.#options.bounds
    const now = Date.now()
    if (maxAge === Infinity || now - this.#trimmedAt < TRIM_INTERVAL) return
    this.#trimmedAt = now
    // A trim that fails is made up for by that of a later append.
    this.#client.sendCommand(['XTRIM', this.#key, 'MINID', '~', String(now - maxAge)]).catch(() => {})
  }
}

/**
 * Whether an append has certainly failed: Redis has replied with an error, or the client has not sent the command. The
 * classes are compared by name, as there may be several copies of the package.
 */
function isRefusal (cause: unknown): boolean {
  return cause instanceof Error && /^(?:ErrorReply|SimpleError|BlobError|Client\w+Error)$/.test(cause.constructor.name)
}

/** The logger of a log that is given none. */
const WARNINGS: EventLogLogger = {
  warn: (details, message) => process.emitWarning(`${message}: ${preview((details as { err?: unknown }).err)}`),
  info: () => {}
}

function checkLogger (logger: unknown): EventLogLogger {
  const { warn, info } = Object(logger) as Partial<EventLogLogger>
  if (typeof warn === 'function' && typeof info === 'function') return logger as EventLogLogger
  throw invalidOption('logger', 'an object with warn() and info()', logger)
}
