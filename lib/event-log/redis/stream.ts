import type { EventLogLogger } from '../../../types/event-log.ts'
import { callEach } from '../../isolate.ts'
import { Ring } from '../ring.ts'
import type { Bounds } from '../ring.ts'
import { sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { BEFORE_ALL, compareStreamIds } from './entry-id.ts'
import { EntryParser, idOf } from './entry.ts'
import type { RawEntry } from './entry.ts'
import { RANGE_TIMEOUT, RETRY_DELAY, RedisPages, readRange } from './pages.ts'
import type { Page } from './pages.ts'
import { RedisTail } from './tail.ts'
import type { TailedStream } from './tail.ts'

/** The number of entries, the newest, with which the ring is started. */
const START_COUNT = 256

/**
 * One Redis stream as this process knows it. While there are readers, the newest entries are in memory, in a ring that
 * the tail of the client keeps up to date. Older entries are read in pages.
 */
export class RedisStream implements TailedStream {
  readonly key: string
  readonly #client: RedisClient
  readonly #tail: RedisTail
  readonly #bounds: Bounds
  readonly #logger: EventLogLogger
  /** The callbacks of the open cursors. */
  readonly #wakers = new Set<() => void>()
  readonly #parser: EntryParser
  readonly #pages: RedisPages
  #ring: Ring | null = null
  /** The id after which the ring was complete when it was started. */
  #startedAfter = BEFORE_ALL
  #lastId = BEFORE_ALL
  #firstEverId: string | null = null
  /** Whether it was logged that the newest entries cannot be read. */
  #isUnreadable = false

  constructor (key: string, client: RedisClient, bounds: Bounds, logger: EventLogLogger) {
    this.key = key
    this.#client = client
    this.#tail = RedisTail.of(client)
    this.#bounds = bounds
    this.#logger = logger
    this.#parser = new EntryParser(key, logger)
    this.#pages = new RedisPages(key, client, this.#parser)
    this.#tail.addLogger(logger)
  }

  /**
   * The newest entries, or `null` while they have not been read. After an interruption there is another ring, as
   * entries may be missing between the two.
   */
  get ring (): Ring | null {
    return this.#ring
  }

  /** The id of the newest entry that was read, or `0-0` if there was none. */
  get lastId (): string {
    return this.#lastId
  }

  /** The id after which the ring is complete: it holds every later entry, up to `lastId`, that is an event. */
  get completeAfter (): string {
    return this.#ring?.lastReleased?.id ?? this.#startedAfter
  }

  /** The id of the first entry that the stream has ever had. It is known only if the ring was started while empty. */
  get firstEverId (): string | null {
    return this.#firstEverId
  }

  get maxEvents (): number {
    return this.#bounds.maxEvents
  }

  /** Calls `wake` whenever there may be new entries. The first subscription starts the ring. */
  subscribe (wake: () => void): void {
    this.#wakers.add(wake)
    if (this.#wakers.size === 1) void this.#fillRing()
  }

  /** Ends a subscription. With the last one the ring is released. */
  unsubscribe (wake: () => void): void {
    if (!this.#wakers.delete(wake) || this.#wakers.size > 0) return
    this.#tail.delete(this)
    this.#ring = null
  }

  push (entries: readonly RawEntry[]): void {
    const ring = this.#ring
    if (ring === null) return
    if (this.#lastId === BEFORE_ALL) this.#firstEverId = idOf(entries[0])
    for (const raw of entries) {
      if (compareStreamIds(String(raw[0]), this.#lastId) <= 0) continue
      this.#lastId = String(raw[0])
      const entry = this.#parser.parse(raw)
      if (entry !== null) ring.push(entry)
    }
    this.#wakeAll()
  }

  async checkContinuity (connection: RedisClient, isFull: boolean): Promise<void> {
    if (await this.#isContinuous(connection, isFull)) return
    // Each cursor notices that the ring is another one, and reads a page to find out what its reader has missed.
    this.#tail.delete(this)
    this.#ring = null
    if (this.#wakers.size > 0) void this.#fillRing()
  }

  /**
   * Whether no entry has ever been trimmed or deleted. It is `false` with Redis before version 7, which has no count of
   * all entries ever added. Rejects if Redis does not answer, or answers with another error than "no such key".
   */
  async isUntrimmed (): Promise<boolean> {
    try {
      const reply = await sendWithin(this.#client, ['XINFO', 'STREAM', this.key], RANGE_TIMEOUT)
      // The reply has names and values by turns, in a list or, with RESP3, in a `Map`.
      const list = [...reply as Iterable<unknown>].flat()
      const valueOf = (name: string): unknown => list[list.indexOf(name) + 1]
      return list.includes('entries-added') && valueOf('entries-added') === valueOf('length')
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such key')) return true
      throw error
    }
  }

  /** Returns the page after the entry with this id. */
  readPage (id: string): Promise<Page> {
    return this.#pages.read(id)
  }

  /** Reads the newest entries and starts the ring with them. After a failure it tries again, if there are readers. */
  async #fillRing (): Promise<void> {
    try {
      const raws = await readRange(this.#client, ['XREVRANGE', this.key, '+', '-', 'COUNT', String(START_COUNT)])
      if (this.#needsRing) this.#startRing(raws.toReversed())
    } catch (error) {
      this.#onReadError(error)
      setTimeout(() => { if (this.#needsRing) void this.#fillRing() }, RETRY_DELAY).unref()
    }
  }

  get #needsRing (): boolean {
    return this.#wakers.size > 0 && this.#ring === null
  }

  #startRing (raws: readonly RawEntry[]): void {
    this.#ring = new Ring(this.#bounds)
    // Entries of the recent pages may have been trimmed while nothing was read.
    this.#pages.clear()
    // Fewer entries than were asked for are all that the stream holds.
    this.#startedAfter = raws.length < START_COUNT ? BEFORE_ALL : String(raws[0]?.[0])
    this.#lastId = BEFORE_ALL
    this.push(raws)
    if (raws.length > 0) this.#firstEverId = null
    this.#tail.add(this)
    if (!this.#isUnreadable) return
    this.#isUnreadable = false
    this.#logger.info({ key: this.key }, 'an event log is read from Redis again')
  }

  /** Logs the first of several errors, unless the tail has already logged that no log can be read. */
  #onReadError (error: unknown): void {
    if (this.#isUnreadable || this.#tail.isUnreadable || !this.#needsRing) return
    this.#isUnreadable = true
    const message = 'an event log cannot be read from Redis; its readers wait until it can'
    this.#logger.warn({ err: error, key: this.key }, message)
  }

  /** Whether no entry can be missing between `lastId` and the entries that are read next. */
  async #isContinuous (connection: RedisClient, isFull: boolean): Promise<boolean> {
    const id = this.#lastId
    const command = id === BEFORE_ALL ? ['XLEN', this.key] : ['XRANGE', this.key, id, id]
    try {
      const reply = await sendWithin(connection, command, RANGE_TIMEOUT)
      // Redis trims the oldest entries first: while it holds the last one, it holds all that follow. Of a stream that
      // was empty it trims none before there are `maxEvents`.
      return id === BEFORE_ALL ? !isFull || Number(reply) < this.maxEvents : (reply as readonly unknown[]).length > 0
    } catch (error) {
      // The key holds another type now. To throw would be taken for a failure of the connection, and delay all streams.
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return false
      throw error
    }
  }

  #wakeAll (): void {
    callEach(this.#wakers, (wake) => wake())
  }
}
