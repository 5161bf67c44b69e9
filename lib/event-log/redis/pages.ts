import type { LogEntry } from '../entry.ts'
import { sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import { idOf } from './entry.ts'
import type { EntryParser, RawEntry } from './entry.ts'

/** How many entries are read at a time. */
const PAGE = 64

/** How many pages are remembered as long as somebody reads them. */
const MAX_RECENT = 1_024

/** How long a range read may take, in milliseconds. */
export const RANGE_TIMEOUT = 10_000

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

/** The older entries of a stream, a page at a time, which readers that are at the same place share. */
export class RedisPages {
  readonly #key: string
  readonly #client: RedisClient
  readonly #parser: EntryParser
  /** Those that are being read. */
  readonly #reading: Map<string, Promise<Page>>
  /** Those that some reader still has, and others who follow can take. */
  readonly #recent: Map<string, WeakRef<Page>>

  constructor (key: string, client: RedisClient, parser: EntryParser) {
    this.#key = key
    this.#client = client
    this.#parser = parser
    this.#reading = new Map()
    this.#recent = new Map()
  }

  /** The page after this entry. */
  async read (id: string): Promise<Page> {
    const recent = this.#recent.get(id)?.deref()
    if (recent !== undefined) return recent
    let page = this.#reading.get(id)
    if (page === undefined) {
      page = this.#read(id).finally(() => this.#reading.delete(id))
      this.#reading.set(id, page)
    }
    return await page
  }

  /** What followed an entry may have been trimmed since. */
  forget (): void {
    this.#recent.clear()
  }

  async #read (id: string): Promise<Page> {
    const raws = await readRange(this.#client, ['XRANGE', this.#key, id, '+', 'COUNT', String(PAGE + 1)])
    const isContiguous = idOf(raws[0]) === id
    const entries = (isContiguous ? raws.slice(1) : raws).map((raw) => this.#parser.parse(raw))
    const page = {
      isContiguous,
      entries: entries.filter((entry) => entry !== null),
      start: idOf(raws[0]),
      end: idOf(raws.at(-1)) ?? id
    }
    // One that is not full is so only now.
    if (isContiguous && raws.length > PAGE) this.#keep(id, page)
    return page
  }

  #keep (id: string, page: Page): void {
    if (this.#recent.size >= MAX_RECENT) this.#recent.clear()
    this.#recent.set(id, new WeakRef(page))
  }
}

export async function readRange (client: RedisClient, command: readonly string[]): Promise<readonly RawEntry[]> {
  return await sendWithin(client, command, RANGE_TIMEOUT) as readonly RawEntry[]
}
