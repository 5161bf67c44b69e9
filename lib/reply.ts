import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SseOptions } from '../types/index.ts'
import { claim } from './claim.ts'
import { END_ID } from './event-id.ts'
import { checkHead } from './head.ts'
import { resolveOptions } from './options.ts'
import type { ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'
import { EmptyPayload, StreamPayload } from './response.ts'
import { checkSource } from './source.ts'

/** Where a reply keeps its stream. */
export const kPayload = Symbol('fastify-rxjs-sse.payload')

type WithPayload = FastifyReply & { [kPayload]: StreamPayload | null }

/** Makes `reply.sse()`. */
export function createReplySse (defaults: ResolvedOptions, registry: Registry) {
  return function sse (this: FastifyReply, source: unknown, options?: SseOptions): FastifyReply {
    const resolved = resolveOptions(defaults, options)
    checkSource(source)
    // Fastify's own way to say that there is an answer already.
    if (this.sent) return this.send()
    checkHead(this)

    const { request } = this
    if (request.method === 'HEAD') return answerEmpty(this)
    const lastEventId = lastEventIdOf(request, resolved.lastEventIdQuery)
    // [spec] 9.2.3: 204 is the one answer after which a browser does not reconnect.
    if (resolved.endFrame !== null && lastEventId === END_ID) return answerEmpty(this.code(204))

    if (hasLeft(this)) {
      claim(this)
      return this
    }

    const payload = new StreamPayload(this, resolved, registry);
    (this as WithPayload)[kPayload] = payload
    payload.start(source, lastEventId)
    return this
  }
}

/** The `onError` hook: a hook of somebody's has failed while the stream was about to be sent. */
export function yieldToErrorHandler (_request: FastifyRequest, reply: FastifyReply, error: unknown, done: () => void): void {
  (reply as WithPayload)[kPayload]?.yield(error)
  done()
}

function lastEventIdOf (request: FastifyRequest, parameter: string | null): string | undefined {
  if (parameter === null || request.lastEventId !== undefined) return request.lastEventId
  const value: unknown = (request.query as Record<string, unknown> | null)?.[parameter]
  const first: unknown = Array.isArray(value) ? value[0] : value
  return first === undefined ? undefined : String(first)
}

/** Neither a response without a socket, behind another of its connection, nor one of HTTP/2 says so by itself. */
function hasLeft ({ raw, request }: FastifyReply): boolean {
  const stream = 'stream' in raw ? raw.stream as { destroyed: boolean } | undefined : undefined
  return raw.destroyed || stream?.destroyed === true || request.raw.socket?.destroyed
}

function answerEmpty (reply: FastifyReply): FastifyReply {
  const payload = new EmptyPayload()
  payload.answer(reply)
  return reply
}
