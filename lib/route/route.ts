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
import { otherSchema } from './response-schema.ts'
import { kRouteOptions } from './route-options.ts'
import type { RouteStreamOptions } from './route-options.ts'

/** The handlers that stream what they return: Fastify gives a route's options to whoever adds one like it. */
const STREAMING: WeakSet<RouteHandlerMethod> = new WeakSet()

/** What it leaves out, a secret maybe, is sent all the same. */
const OTHER_SCHEMA = 'the response schema of a route with the option "sse" is not for event streams, and does not ' +
  'serialize them: declare content["text/event-stream"]'

/** Makes the `onRoute` hook, which sees to the route option `sse`. */
export function createOnRoute (defaults: ResolvedOptions) {
  return function onRoute (this: FastifyInstance, route: RouteOptions): void {
    const { sse } = route as { sse?: unknown }
    if (sse === undefined || sse === false) return
    const options = resolveRouteOptions(defaults, sse)
    // HEAD has no body, of which something could be left out.
    const other = options.hasSerializer || route.method === 'HEAD' ? undefined : otherSchema(route.schema)
    if (other !== undefined) this.log.warn({ url: route.url, response: other }, OTHER_SCHEMA)
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

/** A handler that answers with what `handler` returns or resolves to, unless it has answered by itself. */
function streaming (handler: RouteHandlerMethod): RouteHandlerMethod {
  if (STREAMING.has(handler)) return handler
  const wrapper: RouteHandlerMethod = function (request, reply) {
    checkAcceptable(request)
    const returned: unknown = handler.call(this, request, reply)
    // Fastify's callback style: the answer comes later.
    if (returned === undefined || returned === reply) return returned
    if (!isPromise(returned)) return answer(reply, returned)
    return Promise.resolve(returned).then((resolved) => answer(reply, resolved))
  }
  STREAMING.add(wrapper)
  return wrapper
}

function answer (reply: FastifyReply, returned: unknown): unknown {
  if (reply.sent) {
    // A handler that its timeout has overtaken: nobody will read it.
    if (reply.raw.writableEnded) discard(returned)
    // Fastify says what it thinks of a second answer.
    return returned
  }
  // The client left while the handler waited for the reply.
  if (returned === undefined && reply.request.socket?.destroyed === true) return
  // As everywhere in Fastify.
  if (returned instanceof Error) throw returned
  try {
    checkHandlerResult(returned)
    reply.sse(returned as SseSource)
  } catch (error) {
    discard(returned)
    throw error
  }
}
