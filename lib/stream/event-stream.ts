import { AsyncResource } from 'node:async_hooks'
import type { Writable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { MessageEvent, SseCloseReason, SseContext, SseOverflow } from '../../types/index.ts'
import { onAbort } from '../abort.ts'
import { FST_SSE_OVERFLOW, FST_SSE_STALLED } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Registry, RegisteredStream } from '../server/registry.ts'
import type { Recipient } from '../server/shared-encoder.ts'
import type { Sink, SourceSubscription } from '../source/sink.ts'
import { discard, subscribe } from '../source/subscribe.ts'
import { encodeFrame, isFramed, isPresent, readFields } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'
import type { FrameKey } from './bounded-queue.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOwner } from './outbox.ts'
import { StallDetector } from './stall-detector.ts'
import { askOnError, callUserCode, report } from './user-code.ts'

/** The response that carries a stream, as the stream sees it. */
export interface Carrier {
  /** Sends the response headers: there is something to write, or the stream has ended. */
  begin (): void
  /** Answers with the error: the stream failed before there was anything to write. */
  fail (error: unknown): void
  /** Ends the response: every frame was written. */
  end (): void
  /** Breaks the connection after the last frame was handed on, so that it does not look like an end. */
  abort (): void
  /** Breaks the connection at once, with what has not been sent yet. */
  destroyConnection (): void
  /** Breaks the connection at once, unless an earlier response of a pipelined request still uses it. */
  destroyUnlessPipelined (): void
}

/**
 * `opening`: the response headers have not been sent. `open`: the source emits. `ending` and `failing`: the source is
 * released, and queued frames are being written. `closing`: no more is written, and the response has been told how to
 * end. `closed`: the response has closed. ARCHITECTURE.md, "How a stream ends", has the table.
 */
type Phase = 'opening' | 'open' | 'ending' | 'failing' | 'closing' | 'closed'

/**
 * The life of one event stream: subscribes to its source, encodes and sends each value, and releases the source once,
 * whatever ends the stream. It is an `AsyncResource` of its `reply.sse()` call: user code runs in that async context,
 * whichever timer, batch or other request calls it.
 */
export class EventStream extends AsyncResource implements Sink, RegisteredStream, OutboxOwner, Recipient {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  readonly #request: FastifyRequest
  readonly #carrier: Carrier
  readonly #outbox: Outbox
  #phase: Phase = 'opening'
  #isReleased = false
  #subscription: SourceSubscription | null = null
  /** The source waits for the client, and its messages are this connection's alone. */
  #isPulled = false
  #controller: AbortController | null = null
  /** Removes the listener on the option `signal`. */
  #stopListening: (() => void) | null = null
  /** Destroys the connection of a failing stream whose client does not read. */
  #deadline: NodeJS.Timeout | null = null
  #reason: SseCloseReason = 'client'
  #error: unknown = undefined
  /** When the response headers were sent, in whole milliseconds of `performance.now()`; -1 before. */
  #openedAt = -1
  #stall: StallDetector | null = null
  expiresAt = 0
  lastSequence = 0

  constructor (options: ResolvedOptions, registry: Registry, request: FastifyRequest, carrier: Carrier) {
    super('EventStream')
    this.#options = options
    this.#registry = registry
    this.#request = request
    this.#carrier = carrier
    const { overflow } = options.buffer
    const keyOf = typeof overflow === 'string' ? null : (value: unknown) => this.#keyOf(overflow, value)
    this.#outbox = new Outbox(options.buffer, registry.batch, this, keyOf)
    registry.add(this)
  }

  get isShutdown (): boolean {
    return this.#reason === 'shutdown'
  }

  get lastBeat (): number {
    return this.#outbox.lastWrite
  }

  /** The signal of the source's context. It fires when the source is released. */
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
    if (signal?.aborted === true) this.abort()
    // A stream that waited for its response's socket may have ended before.
    if (this.#isReleased) return discard(source)
    if (signal !== null) this.#stopListening = onAbort(signal, () => this.abort())
    if (maxDuration !== null) {
      this.expiresAt = Math.trunc(performance.now() + maxDuration * (0.8 + Math.random() * 0.2))
      this.#registry.expiries.add(this, maxDuration)
    }
    subscribe(source, context, this)
  }

  wantsMore (): boolean {
    return !this.#isReleased && this.#outbox.wantsMore()
  }

  onSubscribe (subscription: SourceSubscription): void {
    if (this.#isReleased) return this.#unsubscribe(subscription)
    this.#subscription = subscription
    this.#isPulled = subscription.continue !== undefined
  }

  next (value: unknown): void {
    try {
      const frame = this.#encode(value)
      // A serializer may end its own stream.
      if (frame === null || this.#isReleased) return
      if (this.#isPulled) this.#outbox.sendPulled(frame)
      else if (!this.#outbox.send(frame, value)) return this.#overflow()
    } catch (error) {
      return this.#fail(error)
    }
    if (this.#phase === 'opening') this.#carrier.begin()
  }

  error (error: unknown): void {
    this.#fail(error)
  }

  complete (): void {
    this.#end('complete', this.#options.endFrame)
  }

  /** Ends the stream: the option `signal` has fired. */
  abort (): void {
    this.#end('aborted')
  }

  /**
   * Sends the first bytes of the body to `destination`, and from now on what is queued. `isUserCode` says that a hook
   * has put a stream of its own before the response.
   */
  attach (destination: Writable, isUserCode: boolean): void {
    if (this.#phase === 'closed') return
    const { heartbeat, stallTimeout, firstFrame, onOpen } = this.#options
    if (this.#phase === 'opening') this.#phase = 'open'
    this.#openedAt = Math.trunc(performance.now())
    this.#outbox.open(destination, firstFrame, isUserCode ? this : null)
    for (const callback of onOpen) callUserCode(this, () => callback(this.#request), (error) => this.#openThrew(error))
    this.#registry.stallChecks.add(this, stallTimeout)
    if (heartbeat !== null && !this.#isReleased) this.#registry.heartbeats.add(this, heartbeat.interval)
    this.#outbox.flush()
  }

  onWritten (): void {
    if (this.#phase === 'ending') {
      this.#phase = 'closing'
      this.#carrier.end()
    } else if (this.#phase === 'failing') {
      this.#phase = 'closing'
      this.#outbox.onceHandedOn(() => this.#carrier.abort())
    } else if (this.#subscription?.isPaused === true) {
      // In a later turn of the event loop: a client that keeps up would block it.
      this.#registry.pausedSources.add(this)
    }
  }

  onWriterClosed (error?: unknown): void {
    if (error !== undefined) return this.#drop('error', error)
    if (this.#phase === 'closed') return
    // Somebody has ended the response, whose `close` follows: nothing of this stream can be written any more.
    this.#release()
    this.#outbox.clear()
    this.#phase = 'closing'
  }

  /** Continues a source that was paused for this client. */
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

  shutdown (shutdownFrame: Frame | null = this.#registry.shutdownFrame()): void {
    this.#end('shutdown', shutdownFrame)
  }

  destroyUnlessPipelined (): void {
    this.#carrier.destroyUnlessPipelined()
  }

  /** Ends the stream by an error that nothing else has caught: the last resort of whoever calls many streams. */
  crash (error: unknown): void {
    try {
      this.#drop('error', error)
    } catch {
      this.#phase = 'closing'
      this.close(false)
    }
  }

  /** Ends the stream because its response could not be sent: a hook threw, or the destination failed. */
  cancel (error: unknown): void {
    if (this.#phase === 'closed') return
    this.#reason = 'error'
    this.#error = error
    this.close(false)
  }

  /** The response has closed. `isFinished` says that every written byte had been handed to the socket before. */
  close (isFinished: boolean): void {
    if (this.#phase === 'closed') return
    if (!isFinished && this.#reason === 'complete') this.#reason = 'client'
    const wasOpened = this.#phase !== 'opening' && this.#openedAt >= 0
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
    // JSON.stringify runs no user code that could ask for the async context, but for a toJSON(), which needs none.
    if (this.#options.serializer === JSON.stringify) return this.#encodeHere(value)
    return this.runInAsyncScope(this.#encodeHere, this, value)
  }

  #encodeHere (value: unknown): Frame | null {
    const { serializer, encodeOnce } = this.#options
    if (isFramed(value)) return this.#registry.encoder.frameOf(value, serializer)
    return encodeOnce && !this.#isPulled
      ? this.#registry.encoder.encode(value, serializer, this)
      : encodeFrame(value, serializer)
  }

  /** Asks the user's `latest` for the key of a message; what is no event (neither data nor type) has none. */
  #keyOf ({ latest }: Exclude<SseOverflow, string>, value: unknown): FrameKey | null {
    const { isBare, data, id, type } = readFields(value)
    if (data === undefined && !isPresent(type)) return null
    const key = this.runInAsyncScope(() => latest(isBare ? { data } : value as MessageEvent))
    return key === undefined ? null : { key, hasId: isPresent(id) }
  }

  #end (reason: SseCloseReason, finalFrame: Frame | null = null): void {
    if (this.#isReleased) return
    this.#reason = reason
    this.#release()
    this.#outbox.setFinalFrame(finalFrame)
    if (this.#phase === 'opening') this.#carrier.begin()
    this.#phase = 'ending'
    this.#outbox.flush()
  }

  #fail (error: unknown): void {
    // A released source has nothing left to fail but its teardown.
    if (this.#isReleased) return this.#teardownThrew(error)
    this.#reason = 'error'
    this.#error = error
    this.#release()
    if (this.#phase === 'opening' && !this.#outbox.hasQueued) return this.#reject(error)
    this.#endFailing(error)
  }

  /** Fails the stream even where its source has completed before. */
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
    this.#outbox.flush()
  }

  #overflow (): void {
    this.#drop('overflow', new FST_SSE_OVERFLOW(this.#options.buffer.maxBytes))
  }

  /** Breaks the connection: its client is too slow, or its destination has failed. What is queued cannot reach it. */
  #drop (reason: 'overflow' | 'stalled' | 'error', error: unknown): void {
    if (this.#phase === 'closed') return
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

  /** Unsubscribes from the source and stops its timers: the one place where that is done. */
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
