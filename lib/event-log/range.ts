import { Observable, observable } from 'rxjs'
import type { MessageEvent } from '../../types/index.ts'
import { kPuller } from '../source/pull.ts'
import type { Puller } from '../source/pull.ts'
import type { OpenCursor } from './cursor.ts'
import type { ResolvedLogOptions } from './options.ts'
import { LogReader } from './reader.ts'
import type { UserCode } from './reader.ts'

/** What `after()` gives: one part of a log, which each reader reads for itself. */
export class LogRange<Message extends MessageEvent> implements AsyncIterable<Message> {
  readonly #open: OpenCursor
  readonly #userCode: UserCode

  constructor (open: OpenCursor, { gap, bookmarkEvery }: ResolvedLogOptions, options: object) {
    this.#open = open
    this.#userCode = { ...options, gap, bookmarkEvery }
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
          let result = reader.next()
          for (; result !== null && result.done === false; result = reader.next()) {
            subscriber.next(result.value as Message)
          }
          if (result !== null) subscriber.complete()
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
        if (result === null) return
        asked.resolve(result as IteratorResult<Message>)
      } catch (error) {
        asked.reject(error)
      }
      this.#asked.shift()
    }
  }
}
