import { Bookmark, Gap } from '../cursor.ts'
import type { Cursor, Notice } from '../cursor.ts'
import type { LogEntry } from '../entry.ts'
import type { Ring } from '../ring.ts'
import { BEFORE_ALL, compareStreamIds, isStreamId } from './entry-id.ts'
import { RETRY_DELAY } from './pages.ts'
import type { Page } from './pages.ts'
import type { RedisStream } from './stream.ts'

type State = 'new' | 'between' | 'reading' | 'page' | 'ring' | 'closed'

/**
 * The place of one reader in a Redis stream. The cursor returns entries from the stream's ring, in memory, if the ring
 * holds every entry after the place; otherwise it reads a page from Redis, and then looks again.
 *
 * | state     | what holds                                        | `next()` returns      | next state                |
 * | --------- | ------------------------------------------------- | --------------------- | ------------------------- |
 * | `new`     | the stream has had no ring yet                    | `null`                | `between`, or `ring` for  |
 * |           |                                                   |                       | a reader without an id    |
 * | `between` | `#id` is the place, and no entry is at hand       | what the next state   | `ring` if that holds all  |
 * |           |                                                   | does                  | after `#id`; or `reading` |
 * | `reading` | a page is being read, or is to be after a failure | `null`                | `page`, and `wake()`      |
 * | `page`    | `#page` has the entries from `#index` on          | those entries         | `between` after the last  |
 * | `ring`    | `#ring` has the entries from `#position` on       | those entries, and    | `reading` if the stream   |
 * |           |                                                   | `null` after the last | has another ring, or this |
 * |           |                                                   |                       | one released `#position`  |
 * | `closed`  | the reader has left                               | (is not called)       |                           |
 *
 * While the stream has no ring, `next()` returns `null` in every state. Notices are returned before entries. A cursor
 * stays `between`, and returns `null`, while its last page is ahead of what the stream's tail has read.
 */
export class RedisCursor implements Cursor {
  readonly #stream: RedisStream
  readonly #wake: () => void
  /** The place at which a reader without an id begins. */
  readonly #from: 'now' | 'start'
  /** The id that the client has sent: `''` if it has sent none, and `null` if it was none that any log gives. */
  readonly #lastEventId: string | null
  #state: State = 'new'
  /** The place: the id of the entry that was returned last, or after which the reader begins. */
  #id = BEFORE_ALL
  /** Whether the stream is known to have held the place. It is not while `#id` is only what a client has sent. */
  #isKnown = true
  /** The stream's ring when the place was last looked up in the stream. A later ring may not follow on it. */
  #knownRing: Ring | null = null
  readonly #notices: Notice[] = []
  /** The page that was read last. Other readers can share it for as long as it is held here. */
  #page: Page | null = null
  #index = 0
  #ring: Ring | null = null
  #position = 0
  /** Whether the cursor has ever been in the state `ring`. */
  #hasUsedRing = false

  constructor (stream: RedisStream, lastEventId: string | null, from: 'now' | 'start', wake: () => void) {
    this.#stream = stream
    this.#wake = wake
    this.#from = from
    this.#lastEventId = lastEventId
    stream.subscribe(wake)
  }

  next (): LogEntry | Notice | null {
    const { ring } = this.#stream
    if (ring === null || this.#state === 'reading') return null
    if (this.#state === 'new') this.#begin(ring)
    const notice = this.#notices.shift()
    if (notice !== undefined) return notice
    const entry = this.#nextEntry(ring)
    if (entry !== null) this.#id = entry.id
    return entry
  }

  close (): void {
    this.#state = 'closed'
    this.#stream.unsubscribe(this.#wake)
  }

  #begin (ring: Ring): void {
    this.#state = 'between'
    this.#knownRing = ring
    const id = this.#lastEventId
    if (id !== '') {
      this.#id = id !== null && isStreamId(id) ? id : BEFORE_ALL
      this.#isKnown = ring.at(positionAfter(ring, this.#id) - 1)?.id === id
    } else if (this.#from === 'now') {
      this.#id = this.#stream.lastId
      this.#notices.push(new Bookmark(this.#id))
      this.#useRing(ring)
    }
  }

  #nextEntry (ring: Ring): LogEntry | null {
    if (this.#state === 'page') {
      const entry = this.#page?.entries[this.#index++]
      if (entry !== undefined) return entry
      this.#state = 'between'
    }
    if (this.#state === 'between') {
      if (!this.#isInRing(ring)) return this.#read()
      // A page may have entries that the tail, on its own connection, has not read yet.
      if (compareStreamIds(this.#id, this.#stream.lastId) > 0) return null
      this.#useRing(ring)
    } else if (this.#ring !== ring || this.#position < ring.start) {
      return this.#read()
    }
    const entry = ring.at(this.#position)
    if (entry === undefined) return null
    this.#position++
    return entry
  }

  /** Whether the ring holds every entry after the place. */
  #isInRing (ring: Ring): boolean {
    return this.#isKnown && this.#knownRing === ring && compareStreamIds(this.#id, this.#stream.completeAfter) >= 0
  }

  #useRing (ring: Ring): void {
    this.#state = 'ring'
    this.#ring = ring
    this.#position = positionAfter(ring, this.#id)
    this.#hasUsedRing = true
    this.#page = null
  }

  /** Begins to read a page, and returns `null` as there is no entry until then. */
  #read (): null {
    this.#state = 'reading'
    void this.#tryToReadPage()
    return null
  }

  /** Reads a page, until it succeeds or the cursor is closed. Never rejects. */
  async #tryToReadPage (): Promise<void> {
    try {
      await this.#readPage()
      this.#wake()
    } catch {
      setTimeout(() => { if (this.#state !== 'closed') this.#read() }, RETRY_DELAY).unref()
    }
  }

  /** Reads the page after the place. If entries are missing between the two, a gap is returned before the page. */
  async #readPage (): Promise<void> {
    const id = this.#id
    let page = await this.#stream.readPage(id)
    const hasGap = id === BEFORE_ALL ? await this.#hasMissedStart(page) : !page.isContiguous
    // A reader with an id that was never known gets everything that the stream holds, and not only what is after it.
    if (hasGap && !this.#isKnown && id !== BEFORE_ALL) page = await this.#stream.readPage(BEFORE_ALL)
    if (hasGap) {
      this.#notices.push(new Gap(this.#isKnown ? id : this.#lastEventId, page.entries[0]?.id ?? null))
      if (page.entries.length === 0) this.#notices.push(new Bookmark(page.lastId))
    }
    if (page.entries.length === 0) this.#id = this.#placeAfterEmpty(page, hasGap)
    this.#isKnown = true
    this.#knownRing = this.#stream.ring
    this.#page = page
    this.#index = 0
    if (this.#state !== 'closed') this.#state = 'page'
  }

  /** Whether entries are missing before a page that was read from the start of the stream. */
  async #hasMissedStart (page: Page): Promise<boolean> {
    // A reader that asked for the start misses nothing. One that has used the ring, at the end of a stream that was
    // empty, misses what came first, unless the page begins with that.
    if (this.#isKnown) return this.#hasUsedRing && page.firstId !== this.#stream.firstEverId
    // A client that sends `0-0` got it as the bookmark of a stream that was empty, and misses what was trimmed since.
    // One that sends an id of another log misses everything.
    return this.#lastEventId !== BEFORE_ALL || !await this.#stream.isUntrimmed()
  }

  /** The place after a page without events. */
  #placeAfterEmpty (page: Page, hasGap: boolean): string {
    const { completeAfter, lastId } = this.#stream
    // If no entry at all follows the place, those before the ring are gone, and the ring has all that follow.
    const isBeforeRing = page.lastId === this.#id && compareStreamIds(this.#id, completeAfter) < 0
    const place = isBeforeRing ? completeAfter : page.lastId
    // If Redis has lost the entry at the place, its new entries may have lower ids. All of them are new to the reader.
    return hasGap && compareStreamIds(place, lastId) > 0 ? lastId : place
  }
}

/** The position of the first entry in the ring that comes after an id. */
function positionAfter (ring: Ring, id: string): number {
  let low = ring.start
  let high = ring.end
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = ring.at(middle)
    if (entry !== undefined && compareStreamIds(entry.id, id) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
