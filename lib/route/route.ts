import type { FastifyInstance, FastifyReply, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { SseOptions, SseSource } from '../../types/index.ts'
import { isPromise } from '../duck-type.ts'
import { FST_SSE_INVALID_OPTION } from '../errors.ts'
import { resolveOptions } from '../options.ts'
import type { ResolvedOptions } from '../options.ts'
import { preview } from '../preview.ts'
import { checkHandlerResult } from '../source/kinds.ts'
import { discard } from '../source/subscribe.ts'
import { checkAcceptable, varyByAccept } from './negotiation.ts'
import { misplacedSchema } from './response-schema.ts'
import { kRouteOptions } from './route-options.ts'
import type { RouteStreamOptions } from './route-options.ts'

/**
 * The handlers that `streaming` has made. A plugin that copies a route's options adds the handler again, which must not
 * be wrapped twice.
 */
const streamingHandlers: WeakSet<RouteHandlerMethod> = new WeakSet()

/** A warning: members that such a schema leaves out, a secret maybe, are sent all the same. */
const MISPLACED_SCHEMA = 'the response schema of a route with the option "sse" is not for event streams, and does ' +
  'not serialize them: declare content["text/event-stream"]'

/**
 * Makes the `onRoute` hook, which gives effect to the route option `sse`: the route streams what its handler returns,
 * and negotiates by `Accept`. The hook throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`.
 */
export function createOnRoute (defaults: ResolvedOptions) {
  return function onRoute (this: FastifyInstance, route: RouteOptions): void {
    const { sse } = route as { sse?: unknown }
    if (sse === undefined || sse === false) return
    const options = resolveRouteOptions(defaults, sse)
    // A response to HEAD has no body.
    const misplaced = options.hasSerializer || route.method === 'HEAD' ? undefined : misplacedSchema(route.schema)
    if (misplaced !== undefined) this.log.warn({ url: route.url, response: misplaced }, MISPLACED_SCHEMA)
    const own = { [kRouteOptions]: options }
    route.config = { ...route.config, ...own } as RouteOptions['config'] & {}
    route.handler = streaming(route.handler)
    route.onSend = [route.onSend ?? [], varyByAccept].flat()
  }
}

function resolveRouteOptions (defaults: ResolvedOptions, sse: unknown): RouteStreamOptions {
  if (sse === true) return { options: defaults, hasSerializer: false }
  if (typeof sse !== 'object' || sse === null || Array.isArray(sse)) {
    throw new FST_SSE_INVALID_OPTION('sse', 'true, false, or an object of options', preview(sse))
  }
  const { serializer } = sse as SseOptions
  return { options: resolveOptions(defaults, sse), hasSerializer: serializer !== undefined }
}

/** Wraps a handler: what it returns or resolves to is streamed, unless it has answered by itself. */
function streaming (handler: RouteHandlerMethod): RouteHandlerMethod {
  if (streamingHandlers.has(handler)) return handler
  const wrapper: RouteHandlerMethod = function (request, reply) {
    checkAcceptable(request)
    const returned: unknown = handler.call(this, request, reply)
    // The handler has answered, or will answer later, as in Fastify's callback style.
    if (returned === undefined || returned === reply) return returned
    if (!isPromise(returned)) return answer(reply, returned)
    return Promise.resolve(returned).then((resolved) => answer(reply, resolved))
  }
  streamingHandlers.add(wrapper)
  return wrapper
}

function answer (reply: FastifyReply, returned: unknown): unknown {
  if (reply.sent) {
    // Fastify has answered in the handler's place, after its `handlerTimeout`: nobody will read the source.
    if (reply.raw.writableEnded) discard(returned)
    // For a second answer, Fastify logs a warning of its own.
    return returned
  }
  // An async handler that waits until the reply has been sent resolves to nothing when the client leaves.
  if (returned === undefined && reply.request.socket?.destroyed === true) return
  // Everywhere in Fastify, an error that is returned is answered as one that is thrown.
  if (returned instanceof Error) throw returned
  try {
    checkHandlerResult(returned)
    reply.sse(returned as SseSource)
  } catch (error) {
    discard(returned)
    throw error
  }
}
