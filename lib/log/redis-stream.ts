import type { EventLogLogger } from '../../types/log.ts'
import { LogEntry } from './entry.ts'
import { sendWithin } from './redis-client.ts'
import type { RedisClient } from './redis-client.ts'
import { entryOf } from './redis-entry.ts'
import type { RawEntry } from './redis-entry.ts'
import { RedisTail } from './redis-tail.ts'
import type { TailedStream } from './redis-tail.ts'
import { Ring } from './ring.ts'
import type { Bounds } from './ring.ts'
import { BEFORE_ALL, compareStreamIds } from './stream-id.ts'

/** How many of the newest entries are read when somebody begins to listen. */
const FILL = 256

/** How many older entries are read at a time. */
const PAGE = 64

/** How many pages are remembered as long as somebody reads them. */
const MAX_RECENT_PAGES = 1_024

/** How long a range read may take, in milliseconds, and how long until it is tried again. */
const RANGE_TIMEOUT = 10_000
const RETRY_DELAY = 500

/** Older entries, in order. */
export interface Page {
  /** The entry that they were to come after is there: nothing is missing between. */
  readonly isContiguous: boolean
  readonly entries: readonly LogEntry[]
  /** The id of the first of them, even if it is no event; `null` where there is none. */
  readonly start: string | null
  /** The id of the last of them, even if it is no event, or that which they were to come after. */
  readonly end: string
}

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
  /** Those that are being read. */
  readonly #pages: Map<string, Promise<Page>>
  /** Those that some reader still has, and others who follow can take. */
  readonly #recentPages: Map<string, WeakRef<Page>>
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
    this.#pages = new Map()
    this.#recentPages = new Map()
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
      const entry = this.#parse(raw)
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

  /** The entries that come after this one, read once for many readers that are at the same place. */
  async readPage (id: string): Promise<Page> {
    const recent = this.#recentPages.get(id)?.deref()
    if (recent !== undefined) return recent
    let page = this.#pages.get(id)
    if (page === undefined) {
      page = this.#readPage(id).finally(() => this.#pages.delete(id))
      this.#pages.set(id, page)
    }
    return await page
  }

  async #readPage (id: string): Promise<Page> {
    const raws = await this.#range(['XRANGE', this.key, id, '+', 'COUNT', String(PAGE + 1)])
    const isContiguous = idOf(raws[0]) === id
    const entries = (isContiguous ? raws.slice(1) : raws).map((raw) => this.#parse(raw))
    const start = idOf(raws[0])
    const end = idOf(raws.at(-1)) ?? id
    const page = { isContiguous, entries: entries.filter((entry) => entry !== null), start, end }
    // One that is not full is so only now.
    if (isContiguous && raws.length > PAGE) this.#keepPage(id, page)
    return page
  }

  #keepPage (id: string, page: Page): void {
    if (this.#recentPages.size >= MAX_RECENT_PAGES) this.#recentPages.clear()
    this.#recentPages.set(id, new WeakRef(page))
  }

  /** Reads the newest entries, and then what comes. */
  async #fill (): Promise<void> {
    try {
      const raws = await this.#range(['XREVRANGE', this.key, '+', '-', 'COUNT', String(FILL)])
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
    this.#floor = raws.length < FILL ? BEFORE_ALL : idOf(raws[0]) ?? BEFORE_ALL
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
    this.#logger.warn({ err: error, key: this.key }, 'an event log cannot be read from Redis; its readers wait until it can')
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

  async #range (command: readonly string[]): Promise<readonly RawEntry[]> {
    return await sendWithin(this.#client, command, RANGE_TIMEOUT) as readonly RawEntry[]
  }

  /** `null` for what is no event: another program may have added anything. */
  #parse (raw: RawEntry): LogEntry | null {
    try {
      return entryOf(raw)
    } catch (error) {
      this.#logger.warn({ err: error, key: this.key, id: String(raw[0]) }, 'an entry of an event log is no event')
      return null
    }
  }

  #wakeAll (): void {
    for (const wake of this.#wakers) wake()
  }
}

function idOf (raw: RawEntry | undefined): string | null {
  return raw === undefined ? null : String(raw[0])
}
