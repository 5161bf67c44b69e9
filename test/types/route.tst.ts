import Fastify from 'fastify'
import type {
  FastifyInstance, FastifyPluginAsync, FastifyReply, RouteHandlerMethod, RouteOptions, RouteShorthandOptions
} from 'fastify'
import { createServer } from 'node:http2'
import { interval, map, of } from 'rxjs'
import type { Observable } from 'rxjs'
import type { MessageEvent, SseContext, SseOptions, SseSource } from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

interface Tick { price: number }
declare const ticks: Observable<MessageEvent<Tick>>

/** Checks the option `sse`. Without a type provider, Fastify checks no answers, and sources are not checked either. */
export function options (app: FastifyInstance, flag: boolean): void {
  const given: SseOptions = { heartbeat: 1000 }
  app.get('/', { sse: true }, () => ticks)
  app.get('/', { sse: given }, () => ticks)
  app.get('/', { sse: flag }, () => ticks)
  app.get('/', { sse: false }, () => ({ hello: 'world' }))
  app.get('/', { sse: undefined }, () => ({ hello: 'world' }))
  app.get('/', { sse: true, handler: () => ticks })
  app.route({ method: ['GET', 'POST'], url: '/', sse: true, handler: () => ticks })
  app.get('/', {
    sse: {
      retry: 1000,
      serializer: (data: Tick) => String(data.price),
      onOpen (request) { expectType<Equal<typeof request.lastEventId, string | undefined>>() },
      onClose ({ dropped }) { expectType<Equal<typeof dropped, number>>() }
    }
  }, () => ticks)
  for (const method of ['get', 'post', 'put', 'delete', 'patch', 'options', 'head', 'all'] as const) {
    app[method]('/', { sse: true }, () => ticks)
    app[method]('/', { sse: true, handler: () => ticks })
  }

  // @ts-expect-error: an option of the stream that does not exist
  app.get('/', { sse: { heartbeats: 1000 } }, () => ticks)
  // @ts-expect-error: an option of the stream that does not exist, beside one that does
  app.get('/', { sse: { heartbeat: 1000, heartbeats: 1000 } }, () => ticks)
  // @ts-expect-error: only at registration
  app.get('/', { sse: { maxConnections: 1 } }, () => ticks)
  // @ts-expect-error: an option of the stream, not of the route
  app.get('/', { sse: true, heartbeat: 1000 }, () => ticks)
  // @ts-expect-error: not what options look like
  app.get('/', { sse: 'yes' }, () => ticks)
  // @ts-expect-error: a route has a method
  app.route({ url: '/', sse: true, handler: () => ticks })
  // @ts-expect-error: a route has a handler
  app.get('/', { sse: true })
}

/** Checks handlers that return a source of any kind, or answer by themselves. */
export function handlers (app: FastifyInstance): void {
  app.get('/', { sse: true }, async () => ticks)
  app.get('/', { sse: true }, async function * () { yield { data: 1 } })
  app.get('/', { sse: true }, function * () { yield * [1, 2] })
  app.get('/', { sse: true }, () => ({ lastEventId }: SseContext) => of(lastEventId ?? null))
  app.get('/', { sse: true }, async () => async () => ticks)
  app.get('/', { sse: true }, (_request, reply) => reply.sse(ticks))
  app.get('/', { sse: true }, (_request, reply) => reply.code(404).send({ error: 'gone' }))
  app.get('/', { sse: true }, (_request, reply) => { reply.send('text') })
  app.get('/', { sse: true }, async (_request, reply) => reply.send('text'))
  app.get('/', { sse: true }, function (request, reply) {
    expectType<Equal<typeof this, FastifyInstance>>()
    expectType<Equal<typeof request.query, unknown>>()
    if (request.url === '/') return reply.redirect('/sse')
    return ticks
  })
}

/** Checks routes with type arguments. */
export function generics (app: FastifyInstance): void {
  app.get<{ Params: { id: string }, Querystring: { symbol: string } }>('/:id', { sse: true }, ({ params, query }) => {
    expectType<Equal<typeof query, { symbol: string }>>()
    return ticks.pipe(map((message) => ({ ...message, type: params.id })))
  })
  app.post<{ Body: { symbol: string } }>('/', { sse: { retry: 1 } }, async ({ body }) => {
    expectType<Equal<typeof body.symbol, string>>()
    return ticks
  })
  app.route<{ Querystring: { symbol: string } }>({
    method: 'GET', url: '/', sse: true, handler: ({ query }) => of({ data: query.symbol })
  })
  app.get<{ Reply: SseSource<Tick> }>('/', { sse: true }, () => ticks)
  app.get<{ Reply: SseSource<Tick> }>('/', { sse: true }, async function * () { yield { data: { price: 1 } } })

  // @ts-expect-error: `Reply` is held against what the handler returns
  app.get<{ Reply: SseSource<Tick> }>('/', { sse: true }, () => of({ data: 'text' }))
  // @ts-expect-error: `Reply` is held against what the handler resolves to
  app.get<{ Reply: SseSource<Tick> }>('/', { sse: true }, async () => of({ data: 'text' }))
}

const handler: RouteHandlerMethod = () => ticks

/** Checks the option in Fastify's own types. */
export function declared (app: FastifyInstance): void {
  const shorthand: RouteShorthandOptions = { sse: true }
  const route: RouteOptions = { method: 'GET', url: '/', sse: { retry: 1 }, handler: () => ticks }
  app.get('/', shorthand, () => ticks)
  app.get('/', shorthand, () => ({ hello: 'world' }))
  app.get('/', shorthand, handler)
  app.get('/', { sse: true }, handler)
  app.route(route)
  app.addHook('onRoute', function ({ sse }) {
    expectType<Equal<typeof sse, boolean | SseOptions | undefined>>()
    this.route({ ...route, url: '/copy', sse: true })
  })

  // @ts-expect-error: an option that does not exist
  void ({ sse: { heartbeats: 1 } } satisfies RouteShorthandOptions)
  // @ts-expect-error: not what options look like
  void ({ sse: 1 } satisfies RouteShorthandOptions)
}

const scope: FastifyPluginAsync = async (app) => {
  app.get('/', { sse: true }, () => ticks)
}

/** Checks other servers, scopes and routes. */
export function others (app: FastifyInstance): void {
  const secure = Fastify({ serverFactory: () => createServer(), http2: true })
  secure.get('/', { sse: true }, (request) => of({ data: request.raw.stream.id ?? null }))
  secure.get('/', { sse: true }, (_request, reply) => reply.sse(ticks))
  app.register(scope)
  app.get('/', { config: { a: 1 }, preHandler: (_request, _reply, done) => done() }, () => ({ hello: 'world' }))
  app.get('/', () => interval(1))
  app.get('/', { handler: async () => 'text' })

  // @ts-expect-error: Fastify's own check
  app.get<{ Reply: { a: number } }>('/', {}, () => ({ a: 'text' }))
  // @ts-expect-error: Fastify's own check
  app.get('/', {}, (_request: number) => 'text')
}

export function helper (reply: FastifyReply): FastifyReply {
  return reply.sse(ticks)
}
