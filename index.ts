import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { FST_SSE_ALREADY_REGISTERED } from './lib/errors.ts'
import { decodeLastEventId } from './lib/wire/event-id.ts'
import { describeRoutes } from './lib/route/openapi.ts'
import { resolvePluginOptions } from './lib/options.ts'
import { Registry } from './lib/server/registry.ts'
import { kHeldReply } from './lib/reply/held-reply.ts'
import { createReplySse, refuseUnsendable, giveWayToErrorHandler } from './lib/reply/sse.ts'
import { createOnRoute } from './lib/route/route.ts'
import type { SsePluginOptions } from './types/index.ts'
import './types/fastify.ts'

export { sseTransformObject } from './lib/route/item-schema.ts'
export type * from './types/index.ts'
export { MemoryEventLog } from './lib/event-log/memory.ts'

/**
 * Server-sent events from Observables: decorates the reply with `sse()`, the request with `lastEventId`, and the
 * instance with `sse.size`; streams what the handler of a route with the option `sse` returns.
 *
 * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`; `FST_SSE_ALREADY_REGISTERED` in a scope that has it.
 */
const fastifyRxjsSse: FastifyPluginAsync<SsePluginOptions> = async function (app, options) {
  if (app.hasReplyDecorator('sse')) throw new FST_SSE_ALREADY_REGISTERED()
  const { defaults, server } = resolvePluginOptions(options)
  const registry = new Registry(server)

  app.decorate('sse', { get size () { return registry.size } })
  app.decorateRequest('lastEventId', { getter () { return decodeLastEventId(this.headers['last-event-id']) } })
  app.decorateReply(kHeldReply, null)
  app.decorateReply('sse', createReplySse(defaults, registry))

  app.addHook('onRoute', createOnRoute(defaults))
  app.addHook('preSerialization', refuseUnsendable)
  app.addHook('onSend', refuseUnsendable)
  app.addHook('onError', giveWayToErrorHandler)
  describeRoutes(app)
  registry.sessions.listen(app.server)
  // Added when all plugins are there, to run after the application's own.
  app.addHook('onReady', async () => {
    app.addHook('preClose', async () => registry.close())
  })
}

export const plugin = fp(fastifyRxjsSse, { fastify: '5.x', name: 'fastify-rxjs-sse' })
export default plugin
