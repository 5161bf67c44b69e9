import { AsyncResource } from 'node:async_hooks'
import type { MessageEvent } from '../../types/index.ts'
import { onAbort } from '../abort.ts'
import { isPromise } from '../duck-type.ts'
import { FST_SSE_INVALID_OPTION } from '../errors.ts'
import { PausedSources } from '../source/paused-sources.ts'
import type { PausedSource } from '../source/paused-sources.ts'
import type { Puller } from '../source/pull.ts'
import { readFields } from '../wire/encode.ts'
import { Bookmark, Gap } from './cursor.ts'
import type { Cursor, Notice, OpenCursor } from './cursor.ts'
import type { LogEntry, LogMessage } from './entry.ts'
import { gapEvent } from './options.ts'
import type { ReadOptions, ResolvedLogOptions } from './options.ts'

/**
 * The number of events that a filter may leave out before its reader pauses until a later iteration of the event loop:
 * to filter all of a long log at once would block the event loop for milliseconds.
 */
const MAX_SKIPPED_AT_ONCE = 100

/** The readers that paused for that reason. */
const PAUSED_READERS = new PausedSources()

/** The options of a reader: those of `after()`, and those of the log that concern it. */
export type ReaderOptions = ReadOptions & Pick<ResolvedLogOptions, 'gap' | 'bookmarkEvery'>

type Result =
  | { readonly done: false, readonly value: MessageEvent }
  | { readonly done: true, readonly value: undefined }

const DONE: Result = { done: true, value: undefined }

/** Reads a log for one client or one iterator: turns the items of its cursor into messages, through the user's code. */
export class LogReader implements Puller, PausedSource {
  readonly #options: ReaderOptions
  /** Whether an event stream reads. Only a stream is sent bookmarks. */
  readonly #isStream: boolean
  /**
   * The async context in which the user's code runs: that of the reader, not that of `append()`, which wakes it. It is
   * `null` where there is no user code.
   */
  readonly #context: AsyncResource | null
  readonly #cursor: Cursor
  readonly #stopListening: () => void
  /** The number of events that the filter has left out since the client was last sent an id. */
  #skippedSinceId = 0
  /** The number of events that the filter has left out since the reader last paused or waited. */
  #skippedAtOnce = 0
  /** Whether `next()` has returned `null`, and `onReady` is to be called. */
  #isWaiting = false
  #isClosed = false
  onReady: () => void = () => {}

  constructor (openCursor: OpenCursor, options: ReaderOptions, isStream: boolean) {
    this.#options = options
    this.#isStream = isStream
    const { filter, map, gap, signal } = options
    const hasUserCode = filter !== undefined || map !== undefined || gap !== gapEvent
    this.#context = hasUserCode ? new AsyncResource('EventLogReader') : null
    this.#cursor = openCursor(() => this.#wake())
    this.#stopListening = signal === undefined ? () => {} : onAbort(signal, () => this.cancel())
    if (signal?.aborted === true) this.cancel()
  }

  /** Returns the next message, or `null` if there is none yet. Throws what the user's code throws, and then closes. */
  next (): Result | null {
    try {
      while (!this.#isClosed) {
        if (this.#skippedAtOnce === MAX_SKIPPED_AT_ONCE) {
          this.#skippedAtOnce = 0
          PAUSED_READERS.add(this)
          break
        }
        const item = this.#cursor.next()
        if (item === null) {
          this.#skippedAtOnce = 0
          break
        }
        const message = this.#messageOf(item)
        if (message !== undefined) return { done: false, value: message as MessageEvent }
      }
    } catch (error) {
      // A consumer does not cancel a source that has failed, so the cursor is closed here.
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

  /** Closes the cursor. From then on `next()` returns `done`, also to an iterator that is waiting. */
  cancel (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cursor.close()
    this.#stopListening()
    this.#wake()
  }

  #wake (): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.onReady()
  }

  /** Makes the message of an item, or `undefined` if the reader gets none. */
  #messageOf (item: LogEntry | Notice): unknown {
    if (item instanceof Bookmark) return this.#isStream ? { id: item.id } : undefined
    if (this.#context === null) return item instanceof Gap ? gapEvent(item) : this.#eventOf(item)
    return this.#context.runInAsyncScope(() => item instanceof Gap ? this.#options.gap(item) : this.#select(item))
  }

  /** Applies the user's filter and map to an entry. */
  #select (entry: LogEntry): unknown {
    const { filter, map } = this.#options
    if (filter !== undefined && !isTrue(filter(entry.message))) return this.#skip(entry)
    this.#skippedSinceId = 0
    if (map === undefined) return this.#eventOf(entry)
    const { isBare: _isBare, ...fields } = readFields(map(entry.message))
    return { ...fields, id: entry.id }
  }

  /**
   * Leaves out an entry. After `bookmarkEvery` of them a stream gets a bookmark: a client that was sent nothing for a
   * long time would otherwise resume from an id that the log does not hold any more.
   */
  #skip (entry: LogEntry): unknown {
    this.#skippedAtOnce++
    if (!this.#isStream || ++this.#skippedSinceId < this.#options.bookmarkEvery) return undefined
    this.#skippedSinceId = 0
    return { id: entry.id }
  }

  /** Makes the message of an entry. A stream gets the entry, whose frame is sent without its data being parsed. */
  #eventOf (entry: LogEntry): LogEntry | LogMessage {
    return this.#isStream ? entry : entry.message
  }
}

/** Whether a filter's answer is true. A promise is refused, as it is truthy: every client would get every event. */
function isTrue (answer: unknown): boolean {
  if (!isPromise(answer)) return Boolean(answer)
  // The promise may reject, and must not do so unhandled.
  answer.then(undefined, () => {})
  throw new FST_SSE_INVALID_OPTION('filter', 'a function that returns true or false', 'one that returns a promise')
}
