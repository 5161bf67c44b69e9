import type { LogEntry } from '../entry.ts'
import { Gap, Bookmark } from '../cursor.ts'
import type { Cursor } from '../cursor.ts'
import type { Page } from './pages.ts'
import type { RedisStream } from './stream.ts'
import type { Ring } from '../ring.ts'
import { BEFORE_ALL, compareStreamIds, isStreamId } from './entry-id.ts'

/** Until a range read that has failed is tried again, in milliseconds. */
const RETRY_DELAY = 500

/** One reader of a Redis stream: in the process's memory where it can, and where it is further behind in pages. */
export class RedisCursor implements Cursor {
  readonly #stream: RedisStream
  readonly #wake: () => void
  readonly #from: 'now' | 'start'
  /** `''` where there is none, and `null` where it can be no id. */
  readonly #lastEventId: string | null
  #hasBegun: boolean
  /** It has read on from here, or begins after it. */
  #id: string
  /** The id was in the log when it was given, and is not just what a client has sent. */
  #isKnown: boolean
  /** What it is told before the next entry. */
  readonly #notices: Array<Gap | Bookmark>
  /** Kept while it is read, for others to share. */
  #page: Page | null
  #index: number
  /** Where it reads in memory. */
  #ring: Ring | null
  #position: number
  #hasEntered: boolean
  /** What was in memory when its place was last looked up: what comes with another may not follow. */
  #knownRing: Ring | null
  #isReading: boolean
  #isClosed: boolean

  constructor (stream: RedisStream, lastEventId: string | null, from: 'now' | 'start', wake: () => void) {
    this.#stream = stream
    this.#wake = wake
    this.#from = from
    this.#lastEventId = lastEventId
    this.#hasBegun = false
    this.#id = BEFORE_ALL
    this.#isKnown = true
    this.#notices = []
    this.#page = null
    this.#index = 0
    this.#ring = null
    this.#position = 0
    this.#hasEntered = false
    this.#knownRing = null
    this.#isReading = false
    this.#isClosed = false
    stream.listen(wake)
  }

  next (): LogEntry | Gap | Bookmark | null {
    const { ring } = this.#stream
    // While the newest are being read, everybody waits.
    if (ring === null || this.#isReading) return null
    if (!this.#hasBegun) this.#begin(ring)
    const notice = this.#notices.shift()
    if (notice !== undefined) return notice
    const entry = this.#page?.entries[this.#index++] ?? this.#nextInMemory(ring)
    if (entry !== null) this.#id = entry.id
    return entry
  }

  close (): void {
    this.#isClosed = true
    this.#stream.unlisten(this.#wake)
  }

  #begin (ring: Ring): void {
    this.#hasBegun = true
    this.#knownRing = ring
    const id = this.#lastEventId
    if (id === '') {
      if (this.#from === 'start') return
      this.#id = this.#stream.lastId
      this.#notices.push(new Bookmark(this.#id))
      this.#enter(ring)
    } else {
      this.#id = id !== null && isStreamId(id) ? id : BEFORE_ALL
      this.#isKnown = ring.at(positionAfter(ring, this.#id) - 1)?.id === id
    }
  }

  /** Begins to read in memory, at what comes after the id. */
  #enter (ring: Ring): void {
    this.#ring = ring
    this.#position = positionAfter(ring, this.#id)
    this.#hasEntered = true
  }

  #nextInMemory (ring: Ring): LogEntry | null {
    if (this.#ring !== null && (this.#ring !== ring || this.#position < ring.start)) {
      // It was slower than memory is long, or Redis has lost something: it sees for itself.
      this.#ring = null
      return this.#read()
    }
    if (this.#ring === null) {
      if (!this.#isKnown || this.#knownRing !== ring || compareStreamIds(this.#id, this.#stream.floor) < 0) {
        return this.#read()
      }
      // A page may have more than the connection that reads the end.
      if (compareStreamIds(this.#id, this.#stream.lastId) > 0) return null
      this.#enter(ring)
      this.#page = null
    }
    const entry = ring.at(this.#position)
    if (entry === undefined) return null
    this.#position++
    return entry
  }

  /** Reads a page, and wakes the reader when it is there: until then there is nothing. */
  #read (): null {
    this.#isReading = true
    void this.#readPages()
    return null
  }

  async #readPages (): Promise<void> {
    try {
      await this.#readPage()
      this.#isReading = false
      this.#wake()
    } catch {
      setTimeout(() => { if (!this.#isClosed) this.#read() }, RETRY_DELAY).unref()
    }
  }

  async #readPage (): Promise<void> {
    const id = this.#id
    let page = await this.#stream.readPage(id)
    const isFromStart = id === BEFORE_ALL
    const isMissing = isFromStart ? await this.#hasMissedTheStart(page) : !page.isContiguous
    if (isMissing && !this.#isKnown && !isFromStart) page = await this.#stream.readPage(BEFORE_ALL)
    if (isMissing) {
      this.#notices.push(new Gap(this.#isKnown ? id : this.#lastEventId, page.entries[0]?.id ?? null))
      if (page.entries.length === 0) this.#notices.push(new Bookmark(page.end))
    }
    this.#isKnown = true
    this.#knownRing = this.#stream.ring
    this.#page = page
    this.#index = 0
    // With nothing to give on the way there, it is where the page ends, or, at the very end, memory begins.
    if (page.entries.length > 0) return
    const { floor, lastId } = this.#stream
    this.#id = page.end !== id || compareStreamIds(id, floor) >= 0 ? page.end : floor
    // Redis has lost what the reader has had: all that comes is new.
    if (isMissing && compareStreamIds(this.#id, lastId) > 0) this.#id = lastId
  }

  /** It reads from the start, and what it begins with may not be what the stream began with. */
  async #hasMissedTheStart (page: Page): Promise<boolean> {
    if (this.#isKnown) return this.#hasEntered && page.start !== this.#stream.first
    // That is where a reader was told that it is when the stream was empty.
    return this.#lastEventId !== BEFORE_ALL || !await this.#stream.isWhole()
  }
}

/** Of the first entry in the ring that comes after an id. */
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
