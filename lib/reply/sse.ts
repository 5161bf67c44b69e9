import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SseOptions } from '../../types/index.ts'
import { FST_SSE_IN_ON_SEND, FST_SSE_MAX_CONNECTIONS, FST_SSE_NOT_A_STREAM_ROUTE } from '../errors.ts'
import { resolveOptions } from '../options.ts'
import type { ResolvedOptions } from '../options.ts'
import { BaseOptions } from '../route/route-options.ts'
import type { Registry } from '../server/registry.ts'
import { checkSource, unsendableKind } from '../source/kinds.ts'
import { discard } from '../source/subscribe.ts'
import type { EventStream } from '../stream/event-stream.ts'
import { END_ID } from '../wire/event-id.ts'
import type { Frame } from '../wire/frame.ts'
import { checkHeaders } from './headers.ts'
import { kHeldReply } from './held-reply.ts'
import type { HeldReply } from './held-reply.ts'
import { PlainPayload } from './plain-payload.ts'
import { StreamPayload } from './stream-payload.ts'

/** Makes `reply.sse()`. */
export function createReplySse (defaults: ResolvedOptions, registry: Registry) {
  const base = new BaseOptions(defaults)

  return function sse (this: FastifyReply, source: unknown, options?: SseOptions): FastifyReply {
    const resolved = resolveOptions(base.of(this), options)
    checkSource(source)
    // Fastify's own way to say that there is an answer already.
    if (this.sent) return this.send()
    if (heldReplyOf(this)?.isSending === true) throw new FST_SSE_IN_ON_SEND()
    checkHeaders(this)

    const { request } = this
    const lastEventId = lastEventIdOf(request, resolved.lastEventIdQuery)
    if (request.method === 'HEAD') return answerPlain(this, source)
    // [spec] 9.2.3: 204 is the one answer after which a browser does not reconnect.
    if (resolved.endFrame !== null && lastEventId === END_ID) return answerPlain(this.code(204), source)
    const limit = registry.exceededLimit
    if (limit?.answer === 'retry') return answerPlain(this, source, resolved.firstFrame)

    const payload = new StreamPayload(this, resolved, registry)
    payload.start((stream) => {
      if (beginsEnded(stream)) discard(source)
      else stream.start(source, { lastEventId, request, get signal () { return stream.signal } })
    })
    return this

    function beginsEnded (stream: EventStream): boolean {
      if (payload.hasLeft) stream.close(false)
      else if (limit !== null) stream.error(new FST_SSE_MAX_CONNECTIONS(limit.limit))
      else if (registry.isClosing) stream.shutdown(registry.shutdownFrame())
      else if (resolved.signal?.aborted === true) stream.abort()
      return stream.isReleased
    }
  }
}

/** The `onError` hook: a hook of somebody's has failed while the stream was about to be sent. */
export function giveWayToErrorHandler (
  _request: FastifyRequest, reply: FastifyReply, error: unknown, done: () => void
): void {
  heldReplyOf(reply)?.giveWayToError(error)
  done()
}

/**
 * The `onSend` and the `preSerialization` hook: an Observable is no answer without the route option `sse`. Fastify
 * would take one for a stream of Node's, or make JSON of it.
 */
export function refuseUnsendable (
  _request: FastifyRequest, _reply: FastifyReply, payload: unknown,
  done: (error: Error | null, payload?: unknown) => void
): void {
  const kind = unsendableKind(payload)
  if (kind === null) done(null, payload)
  else done(new FST_SSE_NOT_A_STREAM_ROUTE(kind))
}

function heldReplyOf (reply: FastifyReply): HeldReply | null {
  return (reply as FastifyReply & { [kHeldReply]: HeldReply | null })[kHeldReply]
}

function lastEventIdOf (request: FastifyRequest, parameter: string | null): string | undefined {
  if (parameter === null || request.lastEventId !== undefined) return request.lastEventId
  const value: unknown = (request.query as Record<string, unknown> | null)?.[parameter]
  const first: unknown = Array.isArray(value) ? value[0] : value
  return first === undefined ? undefined : String(first)
}

function answerPlain (reply: FastifyReply, source: unknown, body: Frame | null = null): FastifyReply {
  discard(source)
  new PlainPayload(reply, body).send()
  return reply
}
