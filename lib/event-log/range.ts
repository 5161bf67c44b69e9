import { Observable, observable } from 'rxjs'
import type { MessageEvent } from '../../types/index.ts'
import { Fifo } from '../fifo.ts'
import { kPuller } from '../source/pull.ts'
import type { Puller } from '../source/pull.ts'
import type { OpenCursor } from './cursor.ts'
import type { ReadOptions, ResolvedLogOptions } from './options.ts'
import { LogReader } from './reader.ts'
import type { ReaderOptions } from './reader.ts'

/** The part of a log that `after()` returns. Whoever iterates, subscribes or pulls it gets a reader of its own. */
export class LogRange<Message extends MessageEvent> implements AsyncIterable<Message> {
  readonly #openCursor: OpenCursor
  readonly #options: ReaderOptions

  constructor (openCursor: OpenCursor, { gap, bookmarkEvery }: ResolvedLogOptions, options: ReadOptions) {
    this.#openCursor = openCursor
    this.#options = { ...options, gap, bookmarkEvery }
  }

  /** Makes a reader for an event stream, which can pull without a promise for each event. */
  [kPuller] (): Puller {
    return new LogReader(this.#openCursor, this.#options, true)
  }

  [Symbol.asyncIterator] (): AsyncIterator<Message> {
    return new LogIterator<Message>(new LogReader(this.#openCursor, this.#options, false))
  }

  /**
   * Makes an Observable, which RxJS prefers to the async iterator: after an unsubscription, `from()` would close the
   * iterator only when the next event comes.
   */
  [observable] (): Observable<Message> {
    return new Observable((subscriber) => {
      const reader = new LogReader(this.#openCursor, this.#options, false)
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

/** A call of `next()` whose promise is pending. */
interface PendingCall<T> {
  resolve (result: T): void
  reject (error: unknown): void
}

class LogIterator<Message> implements AsyncIterableIterator<Message> {
  readonly #reader: LogReader
  /** The pending calls. As with an async generator, `next()` may be called again before its promise is resolved. */
  readonly #calls = new Fifo<PendingCall<IteratorResult<Message>>>()

  constructor (reader: LogReader) {
    this.#reader = reader
    reader.onReady = () => this.#settleCalls()
  }

  next (): Promise<IteratorResult<Message>> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ resolve, reject })
      // If another call was pending already, it is either waiting for an event or being settled.
      if (this.#calls.length === 1) this.#settleCalls()
    })
  }

  async return (): Promise<IteratorResult<Message>> {
    this.#reader.cancel()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  /** Settles the pending calls in their order, until the reader has no next event. */
  #settleCalls (): void {
    for (let call = this.#calls.at(0); call !== undefined; call = this.#calls.at(0)) {
      try {
        const result = this.#reader.next()
        if (result === null) return
        call.resolve(result as IteratorResult<Message>)
      } catch (error) {
        call.reject(error)
      }
      this.#calls.shift()
    }
  }
}
