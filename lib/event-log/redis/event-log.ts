import type {
  EventLog, EventLogFilter, EventLogLogger, EventLogMap, EventLogOptions, EventLogReadOptions
} from '../../../types/event-log.ts'
import type { MessageEvent, SseMessage, SseValue } from '../../../types/index.ts'
import { FST_SSE_INVALID_OPTION, FST_SSE_LOG_UNAVAILABLE } from '../../errors.ts'
import { preview } from '../../preview.ts'
import { contentOf } from '../entry.ts'
import { checkReading, resolveLogOptions, showId } from '../options.ts'
import type { ResolvedLogOptions } from '../options.ts'
import { LogRange } from '../range.ts'
import { sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { RedisCursor } from './cursor.ts'
import { fieldsOf } from './entry.ts'
import { RedisStream } from './stream.ts'

export type { RedisClient } from './client.ts'

export interface RedisEventLogOptions extends EventLogOptions {
  /**
   * The official client, `createClient()` of the package `redis`, connected. It appends, and reads what is older than
   * what memory holds; what comes is read by one more connection, which all logs of the client share.
   */
  readonly client: RedisClient
  /** The key of the Redis stream. */
  readonly key: string
  /**
   * After how many milliseconds `append()` gives up.
   * @default 5000
   */
  readonly appendTimeout?: number | undefined
  /**
   * Is told once when Redis is away, and once when it is back: `app.log`, say.
   * @default process.emitWarning, for the first
   */
  readonly logger?: EventLogLogger | undefined
}

/** Between trims by age, in milliseconds: Redis trims by one criterion with each append. */
const TRIM_INTERVAL = 1_000

/**
 * An event log on a Redis stream, whose ids are those of its events: any process can resume any client. `maxEvents` and
 * `maxAge` bound the stream, which Redis trims by whole nodes and may so hold somewhat more; `maxBytes` bounds what
 * this process has of it in memory. Redis Cluster is not served.
 *
 * While Redis is away, readers wait and then go on from where they were.
 */
export class RedisEventLog<T = unknown> implements EventLog<T> {
  readonly #options: ResolvedLogOptions
  readonly #client: RedisClient
  readonly #key: string
  readonly #appendTimeout: number
  readonly #stream: RedisStream
  #trimmedAt: number

  /** @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION` */
  constructor (options: RedisEventLogOptions) {
    const { client, key, appendTimeout = 5_000, logger = WARNINGS, ...rest } = { ...options }
    this.#options = resolveLogOptions(rest)
    this.#client = checkClient(client)
    if (typeof key !== 'string' || key === '') throw new FST_SSE_INVALID_OPTION('key', 'a string', preview(key))
    if (!Number.isSafeInteger(appendTimeout) || appendTimeout < 1 || appendTimeout > 2 ** 31 - 1) {
      throw new FST_SSE_INVALID_OPTION('appendTimeout', 'a whole number of milliseconds from 1', preview(appendTimeout))
    }
    if (typeof logger?.warn !== 'function' || typeof logger.info !== 'function') {
      throw new FST_SSE_INVALID_OPTION('logger', 'an object with warn() and info()', preview(logger))
    }
    this.#key = key
    this.#appendTimeout = appendTimeout
    this.#stream = new RedisStream(key, client, this.#options.bounds, logger)
    this.#trimmedAt = 0
  }

  /**
   * @throws `FST_SSE_LOG_UNAVAILABLE` where Redis has not said within `appendTimeout` that it has the event. If the
   * connection was lost on the way, it may have it all the same.
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

  after (lastEventId?: string, options?: EventLogFilter<T>): AsyncIterable<SseMessage<T>>
  after<U> (lastEventId: string | undefined, options: EventLogMap<T, U>): AsyncIterable<SseMessage<U>>
  after (lastEventId: string | undefined, options: EventLogReadOptions<T> | undefined): AsyncIterable<MessageEvent>
  after (lastEventId?: string, options: object = {}): AsyncIterable<never> {
    checkReading(lastEventId, options)
    const { from } = this.#options
    // Not what was given, which would be kept as long as someone reads.
    const id = lastEventId === undefined ? '' : showId(lastEventId)
    return new LogRange<never>((wake) => new RedisCursor(this.#stream, id, from, wake), this.#options, options)
  }

  #trimByAge (): void {
    const { maxAge } = this.#options.bounds
    const now = Date.now()
    if (maxAge === Infinity || now - this.#trimmedAt < TRIM_INTERVAL) return
    this.#trimmedAt = now
    // Another append will trim what this one does not.
    this.#client.sendCommand(['XTRIM', this.#key, 'MINID', '~', String(now - maxAge)]).catch(() => {})
  }
}

/** Redis has replied with an error, or the client has not asked it: told by name, as there may be several copies. */
function isRefusal (cause: unknown): boolean {
  return cause instanceof Error && /^(?:ErrorReply|SimpleError|BlobError|Client\w+Error)$/.test(cause.constructor.name)
}

const WARNINGS: EventLogLogger = {
  warn: (details, message) => process.emitWarning(`${message}: ${preview((details as { err?: unknown }).err)}`),
  info: () => {}
}

function checkClient (client: unknown): RedisClient {
  const { sendCommand, duplicate, slots } = (client ?? {}) as Record<string, unknown>
  if (typeof sendCommand === 'function' && typeof duplicate === 'function' && slots === undefined) {
    return client as RedisClient
  }
  throw new FST_SSE_INVALID_OPTION(
    'client', 'a client of the package "redis", made by createClient(): clusters, pools and sentinels are not served',
    slots === undefined ? preview(client) : 'a cluster')
}
