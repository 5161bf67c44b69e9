import { AsyncResource } from 'node:async_hooks'
import type { EventLogMap } from '../../types/event-log.ts'
import type { MessageEvent } from '../../types/index.ts'
import { onAbort } from '../abort.ts'
import { isPromise } from '../duck-type.ts'
import { FST_SSE_INVALID_OPTION } from '../errors.ts'
import { PausedSources } from '../source/paused-sources.ts'
import type { PausedSource } from '../source/paused-sources.ts'
import type { Puller } from '../source/pull.ts'
import { readFields } from '../wire/encode.ts'
import { Gap, Bookmark } from './cursor.ts'
import type { Cursor, OpenCursor } from './cursor.ts'
import type { LogEntry, LogMessage } from './entry.ts'
import { gapEvent } from './options.ts'
import type { ResolvedLogOptions } from './options.ts'

/** How many events a reader may leave out at a time: to hold all of a long log against a filter takes milliseconds. */
const MAX_SKIPPED = 100

/** Readers that have left out so many, and go on when others have had their turn. */
const SKIPPING = new PausedSources()

/** What the user wants of a log. */
export type UserCode = Partial<EventLogMap> & Pick<ResolvedLogOptions, 'gap' | 'bookmarkEvery'>

type Item = { readonly done: false, readonly value: MessageEvent } | { readonly done: true, readonly value: undefined }

const DONE: Item = { done: true, value: undefined }

/** Reads a log for one reader: what it wants of it, as it wants it. */
export class LogReader implements Puller, PausedSource {
  readonly #userCode: UserCode
  readonly #isStream: boolean
  /** In which the user's code runs, whoever appends. */
  readonly #context: AsyncResource | null
  readonly #cursor: Cursor
  readonly #stopListening: () => void
  /** How many events it was not given since it was last given an id. */
  #skipped: number
  /** How many were left out without a pause. */
  #scanned: number
  #isWaiting: boolean
  #isClosed: boolean
  onReady: () => void

  constructor (open: OpenCursor, userCode: UserCode, isStream: boolean) {
    this.#userCode = userCode
    this.#isStream = isStream
    const { filter, map, gap, signal } = userCode
    const isPlain = filter === undefined && map === undefined && gap === gapEvent
    this.#context = isPlain ? null : new AsyncResource('EventLogReader')
    this.#skipped = 0
    this.#scanned = 0
    this.#isWaiting = false
    this.#isClosed = false
    this.onReady = () => {}
    this.#cursor = open(() => this.#wake())
    this.#stopListening = signal === undefined ? () => {} : onAbort(signal, () => this.cancel())
    if (signal?.aborted === true) this.cancel()
  }

  next (): Item | null {
    try {
      while (!this.#isClosed) {
        if (this.#scanned === MAX_SKIPPED) {
          this.#scanned = 0
          SKIPPING.add(this)
          break
        }
        const item = this.#cursor.next()
        if (item === null) {
          this.#scanned = 0
          break
        }
        const value = this.#valueOf(item)
        if (value !== undefined) return { done: false, value: value as MessageEvent }
      }
    } catch (error) {
      // Nobody cancels what has failed.
      this.cancel()
      throw error
    }
    if (this.#isClosed) return DONE
    this.#isWaiting = true
    return null
  }

  continue (): void {
    this.#wake()
  }

  cancel (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cursor.close()
    this.#stopListening()
    // An iterator may wait.
    this.#wake()
  }

  #wake (): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.onReady()
  }

  #valueOf (item: LogEntry | Gap | Bookmark): unknown {
    if (item instanceof Bookmark) return this.#isStream ? { id: item.id } : undefined
    if (this.#context === null) return item instanceof Gap ? gapEvent(item) : this.#eventOf(item)
    return this.#context.runInAsyncScope(() => item instanceof Gap ? this.#userCode.gap(item) : this.#select(item))
  }

  #select (entry: LogEntry): unknown {
    const { filter, map } = this.#userCode
    if (filter !== undefined && !isWanted(filter(entry.message))) return this.#skip(entry)
    this.#skipped = 0
    if (map === undefined) return this.#eventOf(entry)
    const { isBare: _isBare, ...fields } = readFields(map(entry.message))
    return { ...fields, id: entry.id }
  }

  /** A client that gets nothing for long would come back with an id that is not held any more. */
  #skip (entry: LogEntry): unknown {
    this.#scanned++
    if (!this.#isStream || ++this.#skipped < this.#userCode.bookmarkEvery) return undefined
    this.#skipped = 0
    return { id: entry.id }
  }

  /** A stream wants the frame, for which nothing need be parsed. */
  #eventOf (entry: LogEntry): LogEntry | LogMessage {
    return this.#isStream ? entry : entry.message
  }
}

/** A promise is true, whatever comes of it: who is not to see an event would. */
function isWanted (answer: unknown): boolean {
  if (!isPromise(answer)) return Boolean(answer)
  answer.then(undefined, () => {})
  throw new FST_SSE_INVALID_OPTION('filter', 'a function that returns true or false', 'one that returns a promise')
}
