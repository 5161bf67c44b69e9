import type { EventLogLogger } from '../../../types/event-log.ts'
import { sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { EntryParser, idOf } from './entry.ts'
import type { RawEntry } from './entry.ts'
import { RANGE_TIMEOUT, RedisPages, readRange } from './pages.ts'
import type { Page } from './pages.ts'
import { RedisTail } from './tail.ts'
import type { TailedStream } from './tail.ts'
import { Ring } from '../ring.ts'
import type { Bounds } from '../ring.ts'
import { BEFORE_ALL, compareStreamIds } from './entry-id.ts'

/** How many of the newest entries are read when somebody begins to listen. */
const FILL = 256

/** Until a read that has failed is tried again, in milliseconds. */
const RETRY_DELAY = 500

/**
 * One Redis stream as this process has it: the newest entries in memory as long as anybody listens, and the older ones
 * in pages, which readers that are at the same place share.
 */
export class RedisStream implements TailedStream {
  readonly key: string
  readonly #client: RedisClient
  readonly #tail: RedisTail
  readonly #bounds: Bounds
  readonly #logger: EventLogLogger
  readonly #wakers: Set<() => void>
  readonly #parser: EntryParser
  readonly #pages: RedisPages
  /** The newest entries, or `null` where they have not been read yet. */
  #ring: Ring | null
  /** The same, when the ring was filled. */
  #floor: string
  #lastId: string
  #first: string | null
  #isAway: boolean

  constructor (key: string, client: RedisClient, bounds: Bounds, logger: EventLogLogger) {
    this.key = key
    this.#client = client
    this.#tail = RedisTail.of(client)
    this.#bounds = bounds
    this.#logger = logger
    this.#wakers = new Set()
    this.#parser = new EntryParser(key, logger)
    this.#pages = new RedisPages(key, client, this.#parser)
    this.#ring = null
    this.#floor = BEFORE_ALL
    this.#lastId = BEFORE_ALL
    this.#first = null
    this.#isAway = false
    this.#tail.addLogger(logger)
  }

  get ring (): Ring | null {
    return this.#ring
  }

  get lastId (): string {
    return this.#lastId
  }

  /** The first entry that the stream has ever had, if it was empty when the ring was filled. */
  get first (): string | null {
    return this.#first
  }

  get maxEvents (): number {
    return this.#bounds.maxEvents
  }

  /** Calls `wake` when there is more. */
  listen (wake: () => void): void {
    this.#wakers.add(wake)
    if (this.#wakers.size === 1) void this.#fill()
  }

  unlisten (wake: () => void): void {
    if (!this.#wakers.delete(wake) || this.#wakers.size > 0) return
    this.#tail.delete(this)
    this.#ring = null
  }

  /** All entries after this one are in the ring. */
  get floor (): string {
    return this.#ring?.lastReleased?.id ?? this.#floor
  }

  push (entries: readonly RawEntry[]): void {
    const ring = this.#ring
    if (ring === null) return
    if (this.#lastId === BEFORE_ALL) this.#first = idOf(entries[0])
    for (const raw of entries) {
      if (compareStreamIds(String(raw[0]), this.#lastId) <= 0) continue
      this.#lastId = String(raw[0])
      const entry = this.#parser.parse(raw)
      if (entry !== null) ring.push(entry)
    }
    this.#wakeAll()
  }

  async verify (connection: RedisClient, isFull: boolean): Promise<void> {
    if (await this.#isHeld(connection, isFull)) return
    // Readers find another ring, and see for themselves what they have missed.
    this.#tail.delete(this)
    this.#ring = null
    if (this.#wakers.size > 0) void this.#fill()
  }

  /** Whether nothing has ever been trimmed or deleted; before Redis 7, which does not tell, `false`. */
  async isWhole (): Promise<boolean> {
    try {
      const reply = await sendWithin(this.#client, ['XINFO', 'STREAM', this.key], RANGE_TIMEOUT)
      // A list of names and values, or with RESP3 a `Map`.
      const list = [...reply as Iterable<unknown>].flat()
      const valueOf = (name: string): unknown => list[list.indexOf(name) + 1]
      return list.includes('entries-added') && valueOf('entries-added') === valueOf('length')
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such key')) return true
      throw error
    }
  }

  /** The entries that come after this one. */
  readPage (id: string): Promise<Page> {
    return this.#pages.read(id)
  }

  /** Reads the newest entries, and then what comes. */
  async #fill (): Promise<void> {
    try {
      const raws = await readRange(this.#client, ['XREVRANGE', this.key, '+', '-', 'COUNT', String(FILL)])
      if (this.#isNeeded) this.#begin(raws.toReversed())
    } catch (error) {
      this.#lost(error)
      setTimeout(() => { if (this.#isNeeded) void this.#fill() }, RETRY_DELAY).unref()
    }
  }

  get #isNeeded (): boolean {
    return this.#wakers.size > 0 && this.#ring === null
  }

  #begin (raws: readonly RawEntry[]): void {
    this.#ring = new Ring(this.#bounds)
    // What followed them may have been trimmed since.
    this.#pages.forget()
    this.#floor = raws.length < FILL ? BEFORE_ALL : String(raws[0]?.[0])
    this.#lastId = BEFORE_ALL
    this.push(raws)
    if (raws.length > 0) this.#first = null
    this.#tail.add(this)
    if (!this.#isAway) return
    this.#isAway = false
    this.#logger.info({ key: this.key }, 'an event log is read from Redis again')
  }

  /** Told once, and not where all logs are known to be away. */
  #lost (error: unknown): void {
    if (this.#isAway || this.#tail.isAway || !this.#isNeeded) return
    this.#isAway = true
    const message = 'an event log cannot be read from Redis; its readers wait until it can'
    this.#logger.warn({ err: error, key: this.key }, message)
  }

  /** Whether nothing can be missing between the last entry and what comes now. */
  async #isHeld (connection: RedisClient, isFull: boolean): Promise<boolean> {
    const id = this.#lastId
    const command = id === BEFORE_ALL ? ['XLEN', this.key] : ['XRANGE', this.key, id, id]
    try {
      const reply = await sendWithin(connection, command, RANGE_TIMEOUT)
      // Of what was empty, Redis trims nothing before it is full.
      return id === BEFORE_ALL ? !isFull || Number(reply) < this.maxEvents : (reply as readonly unknown[]).length > 0
    } catch (error) {
      // The key is that of something else now. The other streams go on.
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return false
      throw error
    }
  }

  #wakeAll (): void {
    for (const wake of this.#wakers) wake()
  }
}
