import { randomBytes } from 'node:crypto'
import type { MessageEvent, SseMessage, SseValue } from '../../types/index.ts'
import type {
  EventLog, EventLogFilter, EventLogMap, EventLogOptions, EventLogReadOptions
} from '../../types/event-log.ts'
import { checkOptions } from '../check.ts'
import { callEach } from '../isolate.ts'
import { Bookmark, Gap } from './cursor.ts'
import type { Cursor, Notice } from './cursor.ts'
import { LogEntry, contentOf } from './entry.ts'
import { LOG_OPTION_NAMES, resolveLastEventId, resolveLogOptions, resolveReadOptions } from './options.ts'
import type { ResolvedLogOptions } from './options.ts'
import { LogRange } from './range.ts'
import { Ring } from './ring.ts'

/**
 * An event log in the memory of one process, from which browsers resume after a lost connection (WHATWG HTML, 9.2.4).
 * It holds the newest events within `maxEvents`, `maxBytes` and `maxAge`.
 *
 * An event's id is `<name>-<number>`: the name is random for each log, the number rises by one. An id of another log,
 * or of this one before the process was restarted, is recognised, and its reader begins with a gap.
 *
 * Events are read at the speed of each client: a slow one delays neither the log nor other readers. If it falls behind
 * what the log holds, it gets a gap and goes on with the oldest event. A stream ends when its client leaves or the
 * server closes. The log itself has nothing to close, and is freed with the last reference to it.
 *
 * @param options the log's bounds, where a reader without an id begins, and what a gap sends
 * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION` if the options are wrong
 * @example
 * const orders = new MemoryEventLog<Order>({ maxEvents: 1_000, maxAge: 3_600_000 })
 * app.get('/orders', (request, reply) => reply.sse(orders)) // resumes after the request's Last-Event-ID
 * await orders.append({ type: 'placed', data: order })
 */
export class MemoryEventLog<T = unknown> implements EventLog<T> {
  readonly #options: ResolvedLogOptions
  readonly #name = randomBytes(6).toString('hex')
  readonly #ring: Ring
  /** The callbacks of the open cursors. */
  readonly #wakers = new Set<() => void>()

  constructor (options: EventLogOptions = {}) {
    this.#options = resolveLogOptions(checkOptions(options, LOG_OPTION_NAMES))
    this.#ring = new Ring(this.#options.bounds)
  }

  async append (message: SseValue<T>): Promise<string> {
    const content = contentOf(message)
    const id = this.#idAt(this.#ring.end)
    this.#ring.push(new LogEntry(id, Date.now(), content))
    callEach(this.#wakers, (wake) => wake())
    return id
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
    return new LogRange<never>((wake) => this.#openCursor(id, wake), this.#options, resolveReadOptions(options))
  }

  #openCursor (lastEventId: string | null, wake: () => void): Cursor {
    const ring = this.#ring
    ring.expire()
    const beginning = this.#beginningFor(lastEventId)
    let { position, lastId } = beginning
    const { notices } = beginning
    this.#wakers.add(wake)
    return {
      next: () => {
        const notice = notices.shift()
        if (notice instanceof Bookmark) lastId = notice.id
        if (notice !== undefined) return notice
        if (position < ring.start) {
          // The entry at this position was released before the reader asked for it.
          position = ring.start
          return this.#gapAfter(lastId)
        }
        const entry = ring.at(position)
        if (entry === undefined) return null
        position++
        lastId = entry.id
        return entry
      },
      close: () => this.#wakers.delete(wake)
    }
  }

  /** Decides with which notices, and then at which position, a reader begins. */
  #beginningFor (lastEventId: string | null): Beginning {
    const { start, end } = this.#ring
    const newestId = this.#idAt(end - 1)
    if (lastEventId === '') {
      return this.#options.from === 'start'
        ? { position: start, lastId: this.#idAt(start - 1), notices: [] }
        : { position: end, lastId: newestId, notices: [new Bookmark(newestId)] }
    }
    const position = lastEventId === null ? NaN : this.#positionOf(lastEventId) + 1
    if (position >= start && position <= end) return { position, lastId: lastEventId, notices: [] }
    const gap = this.#gapAfter(lastEventId)
    // After a gap that no event follows, a bookmark gives the client an id that the log knows.
    const notices = gap.oldest === null ? [gap, new Bookmark(newestId)] : [gap]
    return { position: start, lastId: lastEventId, notices }
  }

  /** The gap between the event with this id and the oldest one that is held. */
  #gapAfter (id: string | null): Gap {
    return new Gap(id, this.#ring.at(this.#ring.start)?.id ?? null)
  }

  /** The id of the event at a position. The first has the number 1, so that there is an id before it. */
  #idAt (position: number): string {
    return `${this.#name}-${position + 1}`
  }

  /** The position of the event with this id, or `NaN` if the id has not the form of this log's ids. */
  #positionOf (id: string): number {
    const number = id.startsWith(`${this.#name}-`) ? id.slice(this.#name.length + 1) : ''
    return /^(?:0|[1-9]\d{0,15})$/.test(number) ? Number(number) - 1 : NaN
  }
}

/** The place at which a reader begins, and what it gets first. */
interface Beginning {
  /** The position of the first entry that it gets. */
  readonly position: number
  /** The id after which it begins. A gap names it, if the reader falls behind before its first entry. */
  readonly lastId: string | null
  /** The notices that it gets before that entry. */
  readonly notices: Notice[]
}
