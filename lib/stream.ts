import { AsyncResource } from 'node:async_hooks'
import type { FastifyRequest } from 'fastify'
import type { Observer, Unsubscribable } from 'rxjs'
import type { SseCloseReason, SseContext, SseSummary } from '../types/index.ts'
import { onAbort } from './abort.ts'
import { encodeFrame } from './frame.ts'
import type { Frame } from './frame.ts'
import type { ResolvedOptions } from './options.ts'
import type { Registry, RegisteredStream } from './registry.ts'
import { subscribe } from './source.ts'
import type { Writer } from './writer.ts'

/** What a stream asks of the response that carries it. */
export interface Carrier {
  /** There is something to send: the head may leave. */
  open (): void
  /** The stream failed before there was anything to send: the error is the answer. */
  reject (error: unknown): void
  /** All has been written. */
  end (): void
  /** All that could be has been written, and it must not look like an end. */
  break (): void
  /** Nothing that still waits matters: the connection goes at once. */
  drop (): void
}

/**
 * `opening`: nothing is written yet; `open`; `ending` and `failing`: the source is released, what waits is being written;
 * `closing`: all has been written; `closed`.
 */
type Phase = 'opening' | 'open' | 'ending' | 'failing' | 'closing' | 'closed'

/** How long what waits for the client of a failed stream may take, in milliseconds. */
const STALL_TIMEOUT = 30_000

/** One open stream: from the values of its source to the frames of its connection. */
export class EventStream implements Observer<unknown>, RegisteredStream {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  readonly #request: FastifyRequest
  readonly #carrier: Carrier
  /** The async context of the call: user code runs in it, whoever's turn it is. */
  readonly #context: AsyncResource
  readonly #waiting: Frame[]
  #phase: Phase
  #isReleased: boolean
  #subscription: Unsubscribable | null
  #controller: AbortController | null
  #stopListening: (() => void) | null
  #writer: Writer | null
  #deadline: NodeJS.Timeout | null
  #reason: SseCloseReason
  #error: unknown
  #openedAt: number
  #lastWrite: number
  #events: number
  #bytes: number

  constructor (options: ResolvedOptions, registry: Registry, request: FastifyRequest, carrier: Carrier) {
    this.#options = options
    this.#registry = registry
    this.#request = request
    this.#carrier = carrier
    this.#context = new AsyncResource('SseStream')
    this.#waiting = []
    this.#phase = 'opening'
    this.#isReleased = false
    this.#subscription = null
    this.#controller = null
    this.#stopListening = null
    this.#writer = null
    this.#deadline = null
    this.#reason = 'client'
    this.#error = undefined
    this.#openedAt = 0
    this.#lastWrite = 0
    this.#events = 0
    this.#bytes = 0
    registry.add(this)
  }

  /** By `performance.now()`. */
  get lastWrite (): number {
    return this.#lastWrite
  }

  /** Fires when the source is released. */
  get signal (): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isReleased) this.#controller.abort()
    }
    return this.#controller.signal
  }

  get isClosed (): boolean {
    return this.#phase === 'closed'
  }

  get isShutdown (): boolean {
    return this.#reason === 'shutdown'
  }

  /** Runs `fn` in the async context of the call that made this stream. */
  run<Args extends unknown[]> (fn: (...args: Args) => void, ...args: Args): void {
    this.#context.runInAsyncScope(fn, undefined, ...args)
  }

  /** Subscribes at once, so that no value of a hot source is lost. */
  start (source: unknown, context: SseContext): void {
    const { signal } = this.#options
    if (this.#registry.isClosing) return this.shutdown(this.#registry.farewell())
    if (signal !== null) {
      if (signal.aborted) return this.#end('aborted')
      this.#stopListening = onAbort(signal, () => this.#end('aborted'))
    }
    const subscription = subscribe(source, context, this)
    // What ends while it is being subscribed to was released before there was a subscription.
    if (this.#isReleased) this.#unsubscribe(subscription)
    else this.#subscription = subscription
  }

  next (value: unknown): void {
    if (this.#isReleased) return
    let frame: Frame | null
    try {
      frame = this.#encode(value)
    } catch (error) {
      this.#fail(error)
      return
    }
    if (frame === null) return
    this.#events++
    this.#send(frame)
  }

  error (error: unknown): void {
    this.#fail(error)
  }

  complete (): void {
    this.#end('complete', this.#options.endFrame)
  }

  /** The head leaves, to where `writer` writes. */
  attach (writer: Writer): void {
    if (this.#phase === 'closed') return writer.release()
    this.#writer = writer
    this.#openedAt = this.#lastWrite = performance.now()
    if (this.#phase === 'opening') this.#phase = 'open'
    this.#waiting.unshift(this.#options.firstFrame)
    for (const onOpen of this.#options.onOpen) this.#call(() => onOpen(this.#request), (error) => this.#fail(error))
    if (this.#waiting.length > 1) this.#waiting.splice(0, Infinity, Buffer.concat(this.#waiting))
    this.drain()
    const { heartbeat } = this.#options
    if (this.#phase === 'open' && heartbeat !== null) this.#registry.startHeartbeat(this, heartbeat.interval)
  }

  /** The destination takes more. */
  drain (): void {
    const writer = this.#writer
    if (writer === null) return
    while (!writer.isBlocked) {
      const frame = this.#waiting.shift()
      if (frame === undefined) return this.#finish(writer)
      this.#write(writer, frame)
    }
  }

  beat (): void {
    const { heartbeat } = this.#options
    if (heartbeat !== null && this.#writer !== null && !this.#writer.isBlocked) this.#write(this.#writer, heartbeat.frame)
  }

  shutdown (farewell: Frame | null): void {
    this.#end('shutdown', farewell)
  }

  abandon (): void {
    this.#carrier.drop()
  }

  /** The connection is gone; `isFinished` where all that was written has left before. */
  close (isFinished: boolean): void {
    if (this.#phase === 'closed') return
    if (!isFinished && this.#reason === 'complete') this.#reason = 'client'
    this.#release()
    this.#phase = 'closed'
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    this.#registry.delete(this)
    this.#writer?.release()
    if (this.#writer !== null) this.#report()
  }

  /** What carries the stream has failed. */
  cancel (error: unknown): void {
    if (this.#phase === 'closed') return
    this.#reason = 'error'
    this.#error = error
    this.close(false)
  }

  #encode (value: unknown): Frame | null {
    const { serializer } = this.#options
    if (serializer === JSON.stringify) return encodeFrame(value, serializer)
    return this.#context.runInAsyncScope(encodeFrame, undefined, value, serializer)
  }

  #send (frame: Frame): void {
    const writer = this.#writer
    if (writer !== null && !writer.isBlocked && this.#waiting.length === 0) {
      this.#write(writer, frame)
    } else {
      this.#waiting.push(frame)
      if (this.#phase === 'opening') this.#carrier.open()
    }
  }

  #write (writer: Writer, frame: Frame): void {
    this.#lastWrite = performance.now()
    this.#bytes += frame.length
    writer.write(frame)
  }

  #end (reason: SseCloseReason, last: Frame | null = null): void {
    if (this.#isReleased) return
    this.#reason = reason
    this.#release()
    if (last !== null) this.#waiting.push(last)
    if (this.#phase === 'opening') this.#carrier.open()
    this.#phase = 'ending'
    this.drain()
  }

  #fail (error: unknown): void {
    if (this.#isReleased) {
      // RxJS is done with this stream: it is its teardown that failed.
      this.#request.log.error({ err: error }, 'a teardown of an event stream threw')
      return
    }
    this.#reason = 'error'
    this.#error = error
    this.#release()
    if (this.#phase === 'opening' && this.#waiting.length === 0) {
      this.#phase = 'closed'
      this.#registry.delete(this)
      this.#carrier.reject(error)
      return
    }
    this.#phase = 'failing'
    const last = this.#lastWords(error)
    if (last !== null) this.#waiting.push(last)
    this.#deadline = setTimeout(() => this.#carrier.drop(), STALL_TIMEOUT).unref()
    this.drain()
  }

  #lastWords (error: unknown): Frame | null {
    const { onError } = this.#options
    if (typeof onError !== 'function') return null
    let frame: Frame | null = null
    this.#call(() => {
      const message = onError(error)
      if (message !== undefined) frame = this.#encode(message)
    }, (thrown) => this.#request.log.error({ err: thrown }, 'onError of an event stream threw'))
    return frame
  }

  /** Everything that waits has been written. */
  #finish (writer: Writer): void {
    if (this.#phase === 'ending') {
      this.#phase = 'closing'
      this.#carrier.end()
    } else if (this.#phase === 'failing') {
      this.#phase = 'closing'
      writer.onceWritten(() => this.#carrier.break())
    }
  }

  /** The one place where the source is let go of. */
  #release (): void {
    if (this.#isReleased) return
    this.#isReleased = true
    const { heartbeat } = this.#options
    if (heartbeat !== null) this.#registry.stopHeartbeat(this, heartbeat.interval)
    this.#stopListening?.()
    if (this.#subscription !== null) this.#unsubscribe(this.#subscription)
    this.#subscription = null
    if (this.#controller !== null) this.run(() => this.#controller?.abort())
  }

  #unsubscribe (subscription: Unsubscribable): void {
    try {
      this.run(() => subscription.unsubscribe())
    } catch (error) {
      this.#request.log.error({ err: error }, 'a teardown of an event stream threw')
    }
  }

  #report (): void {
    const { log } = this.#request
    const summary: SseSummary = {
      reason: this.#reason,
      error: this.#error,
      duration: performance.now() - this.#openedAt,
      events: this.#events,
      bytes: this.#bytes
    }
    const { error, ...sse } = summary
    if (this.#reason === 'error') log.error({ err: error, sse }, 'event stream failed')
    else log.debug({ sse }, 'event stream closed')
    for (const onClose of this.#options.onClose) {
      this.#call(() => onClose(summary, this.#request), (thrown) => log.error({ err: thrown }, 'onClose of an event stream threw'))
    }
  }

  /** Runs a callback of the user's; what it throws, or rejects with if it is async, goes to `onThrow`. */
  #call (callback: () => unknown, onThrow: (error: unknown) => void): void {
    try {
      const result = this.#context.runInAsyncScope(callback)
      if (result instanceof Promise) result.catch(onThrow)
    } catch (error) {
      onThrow(error)
    }
  }
}
