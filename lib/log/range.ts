import { AsyncResource } from 'node:async_hooks'
import { Observable, observable } from 'rxjs'
import type { EventLogGap, EventLogMap } from '../../types/log.ts'
import type { MessageEvent } from '../../types/index.ts'
import { readFields } from '../frame.ts'
import { kPuller } from '../pull.ts'
import type { Puller } from '../pull.ts'
import { Resumptions } from '../resumptions.ts'
import type { Resumable } from '../resumptions.ts'
import type { LogEntry, LogMessage } from './entry.ts'
import { gapEvent } from './options.ts'
import type { ResolvedLogOptions } from './options.ts'

/** Where one reader is in a log. */
export interface Cursor {
  /** The next item, or `null` where there is none yet: the reader's `wake()` is called when there may be. */
  next (): LogEntry | Gap | Position | null
  close (): void
}

/** Something is missing between what came before and what comes next. */
export class Gap implements EventLogGap {
  readonly lastEventId: string | null
  readonly oldest: string | null

  constructor (lastEventId: string | null, oldest: string | null) {
    this.lastEventId = lastEventId
    this.oldest = oldest
  }
}

/**
 * Where a reader begins that has no id: were it cut off before its first event, it would miss what comes meanwhile.
 * Browsers may take it from a block that has nothing but an id, which fires no event.
 */
export class Position {
  readonly id: string

  constructor (id: string) {
    this.id = id
  }
}

export type OpenCursor = (wake: () => void) => Cursor

/** What `after()` gives: one part of a log, which each reader reads for itself. */
export class LogRange<Message extends MessageEvent> implements AsyncIterable<Message> {
  readonly #open: OpenCursor
  readonly #userCode: UserCode

  constructor (open: OpenCursor, gap: ResolvedLogOptions['gap'], options: object) {
    this.#open = open
    this.#userCode = { ...options, gap }
  }

  /** For an event stream, which asks without a promise for each event. */
  [kPuller] (): Puller {
    return new LogReader(this.#open, this.#userCode, true)
  }

  [Symbol.asyncIterator] (): AsyncIterator<Message> {
    return new LogIterator<Message>(new LogReader(this.#open, this.#userCode, false))
  }

  /** For RxJS, whose `from()` lets go of an async iterator only when another value has come. */
  [observable] (): Observable<Message> {
    return new Observable((subscriber) => {
      const reader = new LogReader(this.#open, this.#userCode, false)
      const emit = (): void => {
        try {
          for (let result = reader.next(); result !== null; result = reader.next()) {
            subscriber.next(result.value as Message)
          }
        } catch (error) {
          subscriber.error(error)
        }
      }
      subscriber.add(() => reader.cancel())
      reader.onReady = emit
      emit()
    })
  }
}

/** How many events a reader may leave out at a time: to hold all of a long log against a filter takes milliseconds. */
const MAX_SKIPPED = 100

/** Readers that have left out so many, and go on when others have had their turn. */
const SKIPPING = new Resumptions()

/** What the user wants of a log. */
type UserCode = Partial<EventLogMap> & Pick<ResolvedLogOptions, 'gap'>

type Item = { readonly done: false, readonly value: MessageEvent }

/** Reads a log for one reader: what it wants of it, as it wants it. */
class LogReader implements Puller, Resumable {
  readonly #userCode: UserCode
  readonly #isStream: boolean
  /** In which the user's code runs, whoever appends. */
  readonly #context: AsyncResource | null
  readonly #cursor: Cursor
  #isWaiting: boolean
  #isClosed: boolean
  onReady: () => void

  constructor (open: OpenCursor, userCode: UserCode, isStream: boolean) {
    this.#userCode = userCode
    this.#isStream = isStream
    const { filter, map, gap } = userCode
    const isPlain = filter === undefined && map === undefined && gap === gapEvent
    this.#context = isPlain ? null : new AsyncResource('EventLogReader')
    this.#isWaiting = false
    this.#isClosed = false
    this.onReady = () => {}
    this.#cursor = open(() => this.#wake())
  }

  next (): Item | null {
    try {
      for (let skipped = 0; !this.#isClosed; skipped++) {
        if (skipped === MAX_SKIPPED) {
          SKIPPING.add(this)
          break
        }
        const item = this.#cursor.next()
        if (item === null) break
        const value = this.#valueOf(item)
        if (value !== undefined) return { done: false, value: value as MessageEvent }
      }
    } catch (error) {
      // Nobody cancels what has failed.
      this.cancel()
      throw error
    }
    this.#isWaiting = true
    return null
  }

  resume (): void {
    this.#wake()
  }

  cancel (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cursor.close()
    // An iterator may wait.
    this.#wake()
  }

  get isClosed (): boolean {
    return this.#isClosed
  }

  #wake (): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.onReady()
  }

  #valueOf (item: LogEntry | Gap | Position): unknown {
    if (item instanceof Position) return this.#isStream ? { id: item.id } : undefined
    if (this.#context === null) return item instanceof Gap ? gapEvent(item) : this.#eventOf(item)
    return this.#context.runInAsyncScope(() => item instanceof Gap ? this.#userCode.gap(item) : this.#select(item))
  }

  #select (entry: LogEntry): unknown {
    const { filter, map } = this.#userCode
    if (filter !== undefined && !filter(entry.message)) return undefined
    if (map === undefined) return this.#eventOf(entry)
    const { isBare: _isBare, ...fields } = readFields(map(entry.message))
    return { ...fields, id: entry.id }
  }

  /** A stream wants the frame, for which nothing need be parsed. */
  #eventOf (entry: LogEntry): LogEntry | LogMessage {
    return this.#isStream ? entry : entry.message
  }
}

/** A call of `next()` that has no answer yet. */
interface Asked<T> {
  resolve (result: T): void
  reject (error: unknown): void
}

class LogIterator<Message> implements AsyncIterableIterator<Message> {
  readonly #reader: LogReader
  /** There may be several, as with an async generator. */
  readonly #asked: Array<Asked<IteratorResult<Message>>>

  constructor (reader: LogReader) {
    this.#reader = reader
    this.#asked = []
    reader.onReady = () => this.#answer()
  }

  next (): Promise<IteratorResult<Message>> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject })
      if (this.#asked.length === 1) this.#answer()
    })
  }

  async return (): Promise<IteratorResult<Message>> {
    this.#reader.cancel()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  #answer (): void {
    for (let asked = this.#asked[0]; asked !== undefined; asked = this.#asked[0]) {
      try {
        const result = this.#reader.next()
        if (result === null && !this.#reader.isClosed) return
        asked.resolve(result as IteratorResult<Message> | null ?? { done: true, value: undefined })
      } catch (error) {
        asked.reject(error)
      }
      this.#asked.shift()
    }
  }
}
