import { randomBytes } from 'node:crypto'
import type { MessageEvent, SseMessage, SseValue } from '../../types/index.ts'
import type { EventLog, EventLogFilter, EventLogMap, EventLogOptions, EventLogReadOptions } from '../../types/event-log.ts'
import { LogEntry, contentOf } from './entry.ts'
import { checkReading, resolveLogOptions, showId } from './options.ts'
import type { ResolvedLogOptions } from './options.ts'
import { Gap, Bookmark } from './cursor.ts'
import type { Cursor } from './cursor.ts'
import { LogRange } from './range.ts'
import { Ring } from './ring.ts'

/**
 * An event log in the memory of one process, which holds the newest events within its bounds. Ids are
 * `<log>-<number>`: those of another log, or of the process before a restart, are recognised, and begin with a gap.
 */
export class MemoryEventLog<T = unknown> implements EventLog<T> {
  readonly #options: ResolvedLogOptions
  readonly #name: string
  readonly #ring: Ring
  /** Of each reader. */
  readonly #wakers: Set<() => void>

  /** @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION` */
  constructor (options: EventLogOptions = {}) {
    this.#options = resolveLogOptions(options)
    this.#name = randomBytes(6).toString('hex')
    this.#ring = new Ring(this.#options.bounds)
    this.#wakers = new Set()
  }

  async append (message: SseValue<T>): Promise<string> {
    const content = contentOf(message)
    const id = this.#idAt(this.#ring.end)
    this.#ring.push(new LogEntry(id, Date.now(), content))
    for (const wake of this.#wakers) wake()
    return id
  }

  after (lastEventId?: string, options?: EventLogFilter<T>): AsyncIterable<SseMessage<T>>
  after<U> (lastEventId: string | undefined, options: EventLogMap<T, U>): AsyncIterable<SseMessage<U>>
  after (lastEventId: string | undefined, options: EventLogReadOptions<T> | undefined): AsyncIterable<MessageEvent>
  after (lastEventId?: string, options: object = {}): AsyncIterable<never> {
    checkReading(lastEventId, options)
    // Not what was given, which would be kept as long as someone reads.
    const id = lastEventId === undefined ? '' : showId(lastEventId)
    return new LogRange<never>((wake) => this.#openCursor(id, wake), this.#options, options)
  }

  #openCursor (lastEventId: string | null, wake: () => void): Cursor {
    const ring = this.#ring
    ring.expire()
    const first = this.#firstItem(lastEventId)
    const notices = typeof first === 'number' ? [] : [first]
    // With nothing to go on with, it is told where it is.
    if (first instanceof Gap && first.oldest === null) notices.push(new Bookmark(this.#idAt(ring.end - 1)))
    let position = typeof first === 'number' ? first : first instanceof Gap ? ring.start : ring.end
    let seen = first instanceof Gap ? lastEventId : this.#idAt(position - 1)
    this.#wakers.add(wake)
    return {
      next: () => {
        const notice = notices.shift()
        if (notice instanceof Bookmark) seen = notice.id
        if (notice !== undefined) return notice
        if (position < ring.start) {
          // It was slower than the log is long.
          const gap = new Gap(seen, ring.at(ring.start)?.id ?? null)
          position = ring.start
          return gap
        }
        const entry = ring.at(position)
        if (entry === undefined) return null
        position++
        seen = entry.id
        return entry
      },
      close: () => this.#wakers.delete(wake)
    }
  }

  /** What a reader begins with: the position of an entry, or what it is told before. */
  #firstItem (lastEventId: string | null): number | Gap | Bookmark {
    const ring = this.#ring
    if (lastEventId === '') {
      return this.#options.from === 'start' ? ring.start : new Bookmark(this.#idAt(ring.end - 1))
    }
    const next = lastEventId === null ? NaN : this.#positionOf(lastEventId) + 1
    return next >= ring.start && next <= ring.end ? next : new Gap(lastEventId, ring.at(ring.start)?.id ?? null)
  }

  /** The first is 1, so that there is an id before it. */
  #idAt (position: number): string {
    return `${this.#name}-${position + 1}`
  }

  /** `NaN` where the log has not given such an id. */
  #positionOf (id: string): number {
    const number = id.startsWith(`${this.#name}-`) ? id.slice(this.#name.length + 1) : ''
    return /^(?:0|[1-9]\d{0,15})$/.test(number) ? Number(number) - 1 : NaN
  }
}
