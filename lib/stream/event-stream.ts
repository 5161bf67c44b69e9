import { AsyncResource } from 'node:async_hooks'
import type { FastifyRequest } from 'fastify'
import type { MessageEvent, SseCloseReason, SseContext } from '../../types/index.ts'
import { onAbort } from '../abort.ts'
import { FST_SSE_OVERFLOW, FST_SSE_STALLED } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Registry, RegisteredStream } from '../server/registry.ts'
import type { Recipient } from '../server/shared-encoder.ts'
import type { Sink, SourceSubscription } from '../source/sink.ts'
import { subscribe } from '../source/subscribe.ts'
import { encodeFrame, isFramed, isPresent, readFields } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import type { FrameKey } from './bounded-queue.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOwner } from './outbox.ts'
import { StallDetector } from './stall-detector.ts'
import { askOnError, callUserCode, report } from './user-code.ts'
import type { Writer } from './writer.ts'

/** What a stream asks of the response that carries it. */
export interface Carrier {
  /** There is something to send: the head may leave. */
  begin (): void
  /** The stream failed before there was anything to send: the error is the answer. */
  fail (error: unknown): void
  /** All has been written. */
  end (): void
  /** All that could be has been written, and it must not look like an end. */
  abort (): void
  /** Nothing that still waits matters: the connection goes at once. */
  destroyConnection (): void
  /** The same, but for a connection on which another request is answered. */
  destroyUnlessPipelined (): void
}

/**
 * `opening`: the head has not left; `open`; `ending` and `failing`: the source is released, what waits is being
 * written; `closing`: all has been written, or nothing will be any more; `closed`.
 */
type Phase = 'opening' | 'open' | 'ending' | 'failing' | 'closing' | 'closed'

/**
 * One open stream: its states from the call to the end, and the reason of the end. The async context in which it was
 * made is the one in which user code runs for it, whoever's turn it is.
 */
export class EventStream extends AsyncResource implements Sink, RegisteredStream, OutboxOwner, Recipient {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  readonly #request: FastifyRequest
  readonly #carrier: Carrier
  readonly #outbox: Outbox
  #phase: Phase
  #isReleased: boolean
  #subscription: SourceSubscription | null
  #controller: AbortController | null
  #stopListening: (() => void) | null
  #deadline: NodeJS.Timeout | null
  #reason: SseCloseReason
  #error: unknown
  #openedAt: number
  #stall: StallDetector | null
  expiresAt: number
  /** For the shared encoder. */
  lastSequence: number

  constructor (options: ResolvedOptions, registry: Registry, request: FastifyRequest, carrier: Carrier) {
    super('EventStream')
    this.#options = options
    this.#registry = registry
    this.#request = request
    this.#carrier = carrier
    this.#outbox = new Outbox(options.buffer, registry.batch, this)
    this.#phase = 'opening'
    this.#isReleased = false
    this.#subscription = null
    this.#controller = null
    this.#stopListening = null
    this.#deadline = null
    this.#reason = 'client'
    this.#error = undefined
    this.#openedAt = 0
    this.#stall = null
    this.expiresAt = 0
    this.lastSequence = 0
    registry.add(this)
  }

  get isClosed (): boolean {
    return this.#phase === 'closed'
  }

  /** The source has been let go of, or will never be subscribed to. */
  get isReleased (): boolean {
    return this.#isReleased
  }

  get isShutdown (): boolean {
    return this.#reason === 'shutdown'
  }

  get lastBeat (): number {
    return this.#outbox.lastWrite
  }

  /** Fires when the source is released. */
  get signal (): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isReleased) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /** Subscribes at once, so that no value of a hot source is lost. */
  start (source: unknown, context: SseContext): void {
    const { signal, maxDuration } = this.#options
    if (signal !== null) this.#stopListening = onAbort(signal, () => this.abort())
    if (maxDuration !== null) {
      // Whole numbers take no room of their own.
      this.expiresAt = Math.trunc(performance.now() + maxDuration * (0.8 + Math.random() * 0.2))
      this.#registry.expiries.add(this, maxDuration)
    }
    subscribe(source, context, this)
  }

  wantsMore (): boolean {
    return !this.#isReleased && this.#outbox.wantsMore()
  }

  onSubscribe (subscription: SourceSubscription): void {
    if (this.#isReleased) this.#unsubscribe(subscription)
    else this.#subscription = subscription
  }

  /** The option `signal` has fired. */
  abort (): void {
    this.#end('aborted')
  }

  next (value: unknown): void {
    try {
      const frame = this.#encode(value)
      // A serializer may end its own stream.
      if (frame === null || this.#isReleased) return
      if (!this.#outbox.send(frame, value)) return this.#overflow()
    } catch (error) {
      return this.#fail(error)
    }
    if (this.#phase === 'opening') this.#carrier.begin()
  }

  /** For the policy `latest`. */
  keyOf (value: unknown): FrameKey | null {
    const { overflow } = this.#options.buffer
    if (typeof overflow === 'string') return null
    const { isBare, data, id, type } = readFields(value)
    // Without either it is no event.
    if (data === undefined && !isPresent(type)) return null
    const key = this.runInAsyncScope(() => overflow.latest(isBare ? { data } : value as MessageEvent))
    return key === undefined ? null : { key, hasId: isPresent(id) }
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
    const { heartbeat, stallTimeout, firstFrame, onOpen } = this.#options
    if (this.#phase === 'opening') this.#phase = 'open'
    this.#openedAt = Math.trunc(performance.now())
    this.#outbox.open(writer, firstFrame)
    for (const callback of onOpen) callUserCode(this, () => callback(this.#request), (error) => this.#openThrew(error))
    this.#registry.stallChecks.add(this, stallTimeout)
    if (heartbeat !== null && !this.#isReleased) this.#registry.heartbeats.add(this, heartbeat.interval)
    this.flush()
  }

  /** The turn is over, or the destination takes more. */
  flush (): void {
    if (!this.#outbox.flush()) return
    if (this.#phase === 'ending') {
      this.#phase = 'closing'
      this.#carrier.end()
    } else if (this.#phase === 'failing') {
      this.#phase = 'closing'
      this.#outbox.onceWritten(() => this.#carrier.abort())
    } else if (this.#subscription?.isPaused === true) {
      // Not now: a client that keeps up would keep the event loop from everything else.
      this.#registry.pausedSources.add(this)
    }
  }

  /** A source that waited for the client goes on. */
  continue (): void {
    this.runInAsyncScope(() => this.#subscription?.continue?.())
  }

  beat (): void {
    if (this.#options.heartbeat !== null) this.#outbox.sendWhenIdle(this.#options.heartbeat.frame)
  }

  checkStall (): void {
    const { unsentBytes, bytes } = this.#outbox
    const { stallTimeout } = this.#options
    if (unsentBytes === 0) this.#stall = null
    else this.#stall ??= new StallDetector(stallTimeout)
    if (this.#stall?.isStalled(bytes - unsentBytes) === true) this.#drop('stalled', new FST_SSE_STALLED(stallTimeout))
  }

  expire (): void {
    this.#end('expired')
  }

  shutdown (shutdownFrame: Frame | null): void {
    this.#end('shutdown', shutdownFrame)
  }

  destroyUnlessPipelined (): void {
    this.#carrier.destroyUnlessPipelined()
  }

  /** What carries the stream has failed. */
  cancel (error: unknown): void {
    if (this.#phase === 'closed') return
    this.#reason = 'error'
    this.#error = error
    this.close(false)
  }

  /** The connection is gone; `isFinished` where all that was written had left before. */
  close (isFinished: boolean): void {
    if (this.#phase === 'closed') return
    if (!isFinished && this.#reason === 'complete') this.#reason = 'client'
    const wasOpened = this.#phase !== 'opening' && this.#openedAt > 0
    this.#release()
    this.#phase = 'closed'
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    this.#registry.delete(this)
    this.#registry.stallChecks.delete(this, this.#options.stallTimeout)
    this.#outbox.release()
    if (!wasOpened) return
    const { events, bytes, dropped } = this.#outbox
    const duration = Math.trunc(performance.now()) - this.#openedAt
    const summary = { reason: this.#reason, error: this.#error, duration, events, bytes, dropped }
    report(this, this.#request, this.#options, summary)
  }

  #encode (value: unknown): Frame | null {
    // JSON.stringify sees no context, and needs none.
    if (this.#options.serializer === JSON.stringify) return this.#encodeHere(value)
    return this.runInAsyncScope(this.#encodeHere, this, value)
  }

  #encodeHere (value: unknown): Frame | null {
    const { serializer, encodeOnce } = this.#options
    if (isFramed(value)) return this.#registry.encoder.frameOf(value, serializer)
    // What is pulled is this connection's alone.
    const isShared = encodeOnce && this.#subscription?.continue === undefined
    return isShared ? this.#registry.encoder.encode(value, serializer, this) : encodeFrame(value, serializer)
  }

  #end (reason: SseCloseReason, last: Frame | null = null): void {
    if (this.#isReleased) return
    this.#reason = reason
    this.#release()
    this.#outbox.setFinalFrame(last)
    if (this.#phase === 'opening') this.#carrier.begin()
    this.#phase = 'ending'
    this.flush()
  }

  #fail (error: unknown): void {
    // A source that is let go of has nothing left to fail but its teardown.
    if (this.#isReleased) return this.#teardownThrew(error)
    this.#reason = 'error'
    this.#error = error
    this.#release()
    if (this.#phase === 'opening' && !this.#outbox.hasWaiting) return this.#reject(error)
    this.#endFailing(error)
  }

  /** Even where the source has completed before: the stream has not. */
  #openThrew (error: unknown): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') {
      this.#request.log.error({ err: error }, 'onOpen of an event stream threw')
      return
    }
    this.#reason = 'error'
    this.#error = error
    this.#release()
    this.#endFailing(error)
  }

  #endFailing (error: unknown): void {
    this.#phase = 'failing'
    this.#outbox.setFinalFrame(askOnError(this, this.#request, this.#options, error))
    this.#deadline = setTimeout(() => this.#carrier.destroyConnection(), this.#options.stallTimeout).unref()
    this.flush()
  }

  #overflow (): void {
    this.#drop('overflow', new FST_SSE_OVERFLOW(this.#options.buffer.maxBytes))
  }

  /** The client is too slow: nothing that waits will reach it. */
  #drop (reason: 'overflow' | 'stalled', error: Error): void {
    if (this.#reason !== 'error') {
      this.#reason = reason
      this.#error = error
    }
    this.#release()
    this.#outbox.clear()
    if (this.#phase === 'opening') return this.#reject(error)
    this.#phase = 'closing'
    this.#carrier.destroyConnection()
  }

  #reject (error: unknown): void {
    this.#phase = 'closed'
    this.#registry.delete(this)
    this.#carrier.fail(error)
  }

  /** The one place where the source is let go of. */
  #release (): void {
    if (this.#isReleased) return
    this.#isReleased = true
    const { heartbeat, maxDuration } = this.#options
    if (heartbeat !== null) this.#registry.heartbeats.delete(this, heartbeat.interval)
    if (maxDuration !== null) this.#registry.expiries.delete(this, maxDuration)
    this.#stopListening?.()
    if (this.#subscription !== null) this.#unsubscribe(this.#subscription)
    this.#subscription = null
    const controller = this.#controller
    if (controller !== null) this.runInAsyncScope(() => controller.abort())
  }

  #unsubscribe (subscription: SourceSubscription): void {
    callUserCode(this, () => subscription.unsubscribe(), (error) => this.#teardownThrew(error))
  }

  #teardownThrew (error: unknown): void {
    this.#request.log.error({ err: error }, 'a teardown of an event stream threw')
  }
}
