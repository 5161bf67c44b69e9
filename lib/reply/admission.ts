import type { Http2ServerResponse } from 'node:http2'
import type { FastifyReply } from 'fastify'
import { FST_SSE_MAX_CONNECTIONS } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Registry } from '../server/registry.ts'
import { END_ID } from '../wire/event-id.ts'

/** How `reply.sse()` answers a request. Only `'stream'` subscribes to the source. */
export type Admission =
  /** With the response headers: the method is HEAD. */
  | 'headers-only'
  /** With 204: the browser comes back with the id that ends a finite stream. */
  | 'finished'
  /** With an empty stream that tells the browser when to come back: there are as many streams as there may be. */
  | 'come-back'
  /** With an error: there are as many streams as there may be. */
  | Error
  /** Not at all: the client has left. */
  | 'left'
  /** With an empty stream: the server closes. */
  | 'closing'
  /** With an empty stream: the option `signal` has fired. */
  | 'aborted'
  | 'stream'

/** Decides how a request is answered, before anything is made for its stream. */
export function admit (
  reply: FastifyReply, options: ResolvedOptions, registry: Registry, lastEventId: string | undefined
): Admission {
  if (reply.request.method === 'HEAD') return 'headers-only'
  // [spec] WHATWG HTML 9.2.3: 204 is the one answer after which a browser does not reconnect.
  if (options.endFrame !== null && lastEventId === END_ID) return 'finished'
  const limit = registry.exceededLimit
  if (limit?.answer === 'retry') return 'come-back'
  if (hasLeft(reply)) return 'left'
  if (limit !== null) return new FST_SSE_MAX_CONNECTIONS(limit.limit)
  if (registry.isClosing) return 'closing'
  return options.signal?.aborted === true ? 'aborted' : 'stream'
}

/** A response that waits for its socket, or one of HTTP/2, does not say by its own `destroyed` that its client has left. */
function hasLeft ({ raw, request }: FastifyReply): boolean {
  return raw.destroyed || request.raw.socket?.destroyed === true ||
    (raw as unknown as Partial<Http2ServerResponse>).stream?.destroyed === true
}
