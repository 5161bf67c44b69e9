import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SseOptions } from '../../types/index.ts'
import { FST_SSE_IN_ON_SEND, FST_SSE_NOT_A_STREAM_ROUTE } from '../errors.ts'
import { resolveOptions } from '../options.ts'
import type { ResolvedOptions } from '../options.ts'
import { BaseOptions } from '../route/route-options.ts'
import type { Registry } from '../server/registry.ts'
import { checkSource, unsendableKind } from '../source/kinds.ts'
import { discard } from '../source/subscribe.ts'
import type { Frame } from '../wire/frame.ts'
import { admit } from './admission.ts'
import { checkHeaders } from './headers.ts'
import { heldReplyOf } from './held-reply.ts'
import { PlainPayload } from './plain-payload.ts'
import { StreamPayload } from './stream-payload.ts'

/** Makes the function that is `reply.sse()`. */
export function createReplySse (defaults: ResolvedOptions, registry: Registry) {
  const base = new BaseOptions(defaults)

  return function sse (this: FastifyReply, source: unknown, options?: SseOptions): FastifyReply {
    const resolved = resolveOptions(base.of(this), options)
    checkSource(source)
    // Fastify's own way to say that the reply has been sent already.
    if (this.sent) return this.send()
    if (heldReplyOf(this)?.isSending === true) throw new FST_SSE_IN_ON_SEND()
    checkHeaders(this)

    const lastEventId = lastEventIdOf(this.request, resolved.lastEventIdQuery)
    const admission = admit(this, resolved, registry, lastEventId)
    if (admission !== 'stream') discard(source)
    switch (admission) {
      case 'headers-only': return answerPlain(this)
      case 'finished': return answerPlain(this.code(204))
      case 'come-back': return answerPlain(this, resolved.firstFrame)
      default: new StreamPayload(this, resolved, registry).start(admission, source, lastEventId)
    }
    return this
  }
}

/** The plugin's `onError` hook: the stream gives way to an error, as a hook has failed before the stream was sent. */
export function giveWayToErrorHandler (
  _request: FastifyRequest, reply: FastifyReply, error: unknown, done: () => void
): void {
  heldReplyOf(reply)?.giveWayToError(error)
  done()
}

/**
 * The plugin's `onSend` and `preSerialization` hook: refuses an Observable that is answered without the route option
 * `sse`. Fastify would take it for a Node stream, or make JSON of it.
 */
export function refuseUnsendable (
  _request: FastifyRequest, _reply: FastifyReply, payload: unknown,
  done: (error: Error | null, payload?: unknown) => void
): void {
  const kind = unsendableKind(payload)
  if (kind === null) done(null, payload)
  else done(new FST_SSE_NOT_A_STREAM_ROUTE(kind))
}

function lastEventIdOf (request: FastifyRequest, parameter: string | null): string | undefined {
  if (parameter === null || request.lastEventId !== undefined) return request.lastEventId
  const value: unknown = (request.query as Record<string, unknown> | null)?.[parameter]
  const first: unknown = Array.isArray(value) ? value[0] : value
  return first === undefined ? undefined : String(first)
}

function answerPlain (reply: FastifyReply, body: Frame | null = null): FastifyReply {
  new PlainPayload(reply, body).send()
  return reply
}
