import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { FST_SSE_ALREADY_REGISTERED } from './lib/errors.ts'
import { resolvePluginOptions } from './lib/options.ts'
import { addLastPreClose } from './lib/reply/fastify-internals.ts'
import { prepareReplies } from './lib/reply/held-reply.ts'
import { createReplySse, giveWayToErrorHandler, refuseUnsendable } from './lib/reply/sse.ts'
import { describeRoutes } from './lib/route/openapi.ts'
import { createOnRoute } from './lib/route/route.ts'
import { Registry } from './lib/server/registry.ts'
import { decodeLastEventId } from './lib/wire/event-id.ts'
import type { SsePluginOptions } from './types/index.ts'
import './types/fastify.ts'

export { sseTransformObject } from './lib/route/item-schema.ts'
export type * from './types/index.ts'
export { MemoryEventLog } from './lib/event-log/memory.ts'

const fastifyRxjsSse: FastifyPluginAsync<SsePluginOptions> = async function (app, options) {
  if (app.hasReplyDecorator('sse')) throw new FST_SSE_ALREADY_REGISTERED()
  const { defaults, server } = resolvePluginOptions(options)
  const registry = new Registry(server)
  prepareReplies(app)

  app.decorate('sse', { get size () { return registry.size } })
  app.decorateRequest('lastEventId', { getter () { return decodeLastEventId(this.headers['last-event-id']) } })
  app.decorateReply('sse', createReplySse(defaults, registry))

  app.addHook('onRoute', createOnRoute(defaults))
  app.addHook('preSerialization', refuseUnsendable)
  app.addHook('onSend', refuseUnsendable)
  app.addHook('onError', giveWayToErrorHandler)
  addLastPreClose(app, () => registry.close())

  describeRoutes(app)
  registry.sessions.listen(app.server)
}

/**
 * The plugin streams RxJS Observables as server-sent events. It adds `reply.sse(source, options?)` to the reply, the
 * option `sse` to routes, whose handlers then return a source, `request.lastEventId`, and `app.sse.size`, the number
 * of open streams.
 *
 * Its options are the defaults of every stream: see `SsePluginOptions`. `app.close()` ends all streams, after the
 * application's own `preClose` hooks.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import sse from 'fastify-rxjs-sse'
 * import { interval, map } from 'rxjs'
 *
 * const app = Fastify()
 * await app.register(sse, { heartbeat: 10_000 })
 *
 * const ticks = interval(1000).pipe(map((n) => ({ type: 'tick', data: { n } })))
 * app.get('/ticks', (request, reply) => reply.sse(ticks))
 * app.get('/sse', { sse: true }, () => ticks)
 *
 * await app.listen({ port: 3000 })
 * ```
 *
 * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`: an option cannot be what was given.
 * @throws `FST_SSE_ALREADY_REGISTERED`: this scope, or one around it, has the plugin.
 * @throws `FST_SSE_UNSUPPORTED_FASTIFY`: this version of Fastify lacks what the plugin relies on.
 */
export const plugin = fp(fastifyRxjsSse, { fastify: '5.x', name: 'fastify-rxjs-sse' })
export default plugin
