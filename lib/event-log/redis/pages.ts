import type { LogEntry } from '../entry.ts'
import { sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { idOf } from './entry.ts'
import type { EntryParser, RawEntry } from './entry.ts'

/** The number of entries in a page. */
const PAGE_SIZE = 64

/** The number of pages that are remembered while readers use them. */
const MAX_RECENT = 1_024

/** The longest time for the reply to a range read, in milliseconds. */
export const RANGE_TIMEOUT = 10_000

/** The delay after which a range read that failed is tried again, in milliseconds. */
export const RETRY_DELAY = 500

/** Entries of a stream that follow one another, read by one `XRANGE` from the id of the entry before them. */
export interface Page {
  /** Whether the stream still holds the entry before them. If so, no entry is missing between it and the page. */
  readonly isContiguous: boolean
  /** The entries that are events, in the stream's order. */
  readonly entries: readonly LogEntry[]
  /** The id of the first entry of the reply, whether or not it is an event, or `null` if the reply was empty. */
  readonly firstId: string | null
  /** The id of the last entry of the reply, whether or not it is an event, or the id from which it was read. */
  readonly lastId: string
}

/** Reads the older entries of a stream in pages. Readers at the same place share a page. */
export class RedisPages {
  readonly #key: string
  readonly #client: RedisClient
  readonly #parser: EntryParser
  /** The reads that are under way, by the id before the page. */
  readonly #reads = new Map<string, Promise<Page>>()
  /** The pages that some reader still uses, by the id before them, for readers that follow. */
  readonly #recent = new Map<string, WeakRef<Page>>()

  constructor (key: string, client: RedisClient, parser: EntryParser) {
    this.#key = key
    this.#client = client
    this.#parser = parser
  }

  /** Returns the page after the entry with this id. Rejects if Redis does not answer, or answers with an error. */
  async read (id: string): Promise<Page> {
    const recent = this.#recent.get(id)?.deref()
    if (recent !== undefined) return recent
    let page = this.#reads.get(id)
    if (page === undefined) {
      page = this.#read(id).finally(() => this.#reads.delete(id))
      this.#reads.set(id, page)
    }
    return await page
  }

  /** Forgets the recent pages, where their entries may have been trimmed since they were read. */
  clear (): void {
    this.#recent.clear()
  }

  async #read (id: string): Promise<Page> {
    const raws = await readRange(this.#client, ['XRANGE', this.#key, id, '+', 'COUNT', String(PAGE_SIZE + 1)])
    const isContiguous = idOf(raws[0]) === id
    const entries = (isContiguous ? raws.slice(1) : raws).map((raw) => this.#parser.parse(raw))
    const page = {
      isContiguous,
      entries: entries.filter((entry) => entry !== null),
      firstId: idOf(raws[0]),
      lastId: idOf(raws.at(-1)) ?? id
    }
    // A page that is not full is not remembered: the stream may have more entries after it by now.
    if (isContiguous && raws.length > PAGE_SIZE) this.#remember(id, page)
    return page
  }

  #remember (id: string, page: Page): void {
    if (this.#recent.size >= MAX_RECENT) this.#recent.clear()
    this.#recent.set(id, new WeakRef(page))
  }
}

/** Sends `XRANGE` or `XREVRANGE`. */
export async function readRange (client: RedisClient, command: readonly string[]): Promise<readonly RawEntry[]> {
  return await sendWithin(client, command, RANGE_TIMEOUT) as readonly RawEntry[]
}
