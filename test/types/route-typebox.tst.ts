import { Type } from '@fastify/type-provider-typebox'
import type {
  FastifyPluginAsyncTypebox, FastifyPluginCallbackTypebox, TSchema, TypeBoxTypeProvider
} from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { interval, map, merge, of } from 'rxjs'
import type { Observable } from 'rxjs'
import type { MessageEvent, SseContext, SseEvents } from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

const Tick = Type.Object({ price: Type.Number() })
const Problem = Type.Object({ error: Type.String() })
const querystring = Type.Object({ symbol: Type.String() })
const stream = streamOf(Tick)
const schema = { querystring, response: { 200: stream, 404: Problem } }

function streamOf<T extends TSchema> (data: T) {
  return { content: { 'text/event-stream': { schema: data } } }
}

declare const ticks: Observable<MessageEvent<{ price: number }>>
declare const named: Observable<SseEvents<{ tick: { price: number }, last: { price: number } }>>
declare const texts: Observable<MessageEvent<string>>
declare const secrets: Observable<MessageEvent<{ price: number, password: string }>>

/** Checks that a source has to fit the schema, and that the request is typed as by Fastify. */
export function checked (app = Fastify().withTypeProvider<TypeBoxTypeProvider>()): void {
  app.get('/', { sse: true, schema }, ({ query }) => {
    expectType<Equal<typeof query, { symbol: string }>>()
    return ticks
  })
  app.get('/', { sse: true, schema }, async ({ query }) => {
    expectType<Equal<typeof query, { symbol: string }>>()
    return ticks
  })
  app.get('/', { sse: true, schema }, async function * ({ query }) {
    expectType<Equal<typeof query, { symbol: string }>>()
    yield { data: { price: 1 }, type: query.symbol }
  })
  app.get('/', {
    sse: true, schema, handler: ({ query }) => ticks.pipe(map(({ data }) => ({ data, type: query.symbol })))
  })
  app.route({
    method: 'GET',
    url: '/',
    sse: { onClose: ({ reason }, request) => request.log.info(reason) },
    schema: { querystring, response: { 200: { description: 'Ticks', ...stream } } },
    preHandler: (request, _reply, done) => {
      expectType<Equal<typeof request.query, { symbol: string }>>()
      done()
    },
    handler ({ query }) {
      expectType<Equal<typeof query, { symbol: string }>>()
      return ticks
    }
  })
  app.post('/:id', {
    sse: { heartbeat: 1000, onOpen: (request) => request.log.info('open') },
    schema: {
      params: Type.Object({ id: Type.Number() }),
      body: Type.Object({ tags: Type.Array(Type.String()) }),
      response: { 200: stream }
    }
  }, ({ params, body }) => {
    expectType<Equal<typeof params.id, number>>()
    expectType<Equal<typeof body.tags, string[]>>()
    return interval(params.id).pipe(map((price) => ({ data: { price } })))
  })
  app.get('/', { sse: true, schema }, () => merge(ticks, of({ retry: 1 }, { comment: 'a' })))
  app.get('/', { sse: true, schema }, () => secrets)
  app.get('/', { sse: true, schema }, () => ({ lastEventId }: SseContext) => ticks.pipe(
    map((tick) => ({ ...tick, id: lastEventId }))
  ))
  app.get('/', { sse: true, schema }, async () => async () => ticks)
  app.get('/', { sse: true, schema }, () => named)

  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, () => texts)
  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, async () => texts)
  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, async function * () { yield { data: { price: '1' } } })
  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, () => () => texts)
  // @ts-expect-error: bare values of another type
  app.get('/', { sse: true, schema }, () => of('text'))
  // @ts-expect-error: the data is not wrapped
  app.get('/', { sse: true, schema }, () => of({ price: 1 }))
  // @ts-expect-error: no source
  app.get('/', { sse: true, schema }, () => ({ price: 1 }))
  // @ts-expect-error: no source
  app.get('/', { sse: true, schema }, async () => ({ error: 'none' }))
  // @ts-expect-error: no source
  app.get('/', { sse: { retry: 1 }, schema }, () => 1)
  // @ts-expect-error: an option that does not exist
  app.get('/', { sse: { heartbeats: 1 }, schema }, () => ticks)
  // @ts-expect-error: an option that does not exist
  app.get('/', { sse: { retry: 1, heartbeats: 1 }, schema }, () => ticks)
  // @ts-expect-error: an option of the route that does not exist
  app.get('/', { sse: true, schema, heartbeat: 1 }, () => ticks)
  // @ts-expect-error: a parameter that the schema does not have
  app.get('/', { sse: true, schema }, ({ query }) => of({ data: { price: query.price } }))
  // @ts-expect-error: data of another type
  app.post('/', { sse: true, schema: { response: { 200: stream } } }, () => texts)
  // @ts-expect-error: data of another type
  app.route({ method: 'GET', url: '/', sse: true, schema, handler: async () => texts })
}

/** Checks handlers that answer by themselves. */
export function answers (app = Fastify().withTypeProvider<TypeBoxTypeProvider>()): void {
  app.get('/', { sse: true, schema }, (_request, reply) => reply.code(404).send({ error: 'none' }))
  app.get('/', { sse: true, schema }, (_request, reply) => { reply.code(404).send({ error: 'none' }) })
  app.get('/', { sse: true, schema }, async ({ query }, reply) => {
    if (query.symbol === '') return reply.code(404).send({ error: 'none' })
    return ticks
  })
  app.get('/', { sse: true, schema }, ({ query }, reply) => query.symbol === '' ? reply.redirect('/') : ticks)
  app.get('/', { sse: true, schema }, (_request, reply) => reply.sse(ticks))
  app.get('/', { sse: true, schema }, async (_request, reply) => reply.header('a', 'b').sse(ticks))
  app.get('/', { schema }, (_request, reply) => { reply.sse(ticks) })
  app.get('/', { schema }, async (_request, reply) => reply.sse<string>(texts))

  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, (_request, reply) => reply.sse(texts))
  // @ts-expect-error: data of another type, without the route option
  app.get('/', { schema }, (_request, reply) => { reply.sse(texts) })
  // @ts-expect-error: Fastify's own check
  app.get('/', { sse: true, schema }, (_request, reply) => reply.code(404).send({ price: 1 }))
}

/** Checks the places in which the schema of a stream can be. */
export function places (app = Fastify().withTypeProvider<TypeBoxTypeProvider>()): void {
  const charset = { content: { 'text/event-stream; charset=utf-8': { schema: Tick } } }
  const upperCase = { content: { 'Text/Event-Stream': { schema: Tick } } }
  const json = { content: { 'application/json': { schema: Problem } } }
  const both = { content: { ...json.content, ...stream.content } }
  app.get('/', { sse: true, schema: { response: { '2xx': stream } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { '2XX': stream, '4xx': json } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { default: stream } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { 201: stream } } }, (_request, reply) => {
    reply.code(201)
    return ticks
  })
  app.get('/', { sse: true, schema: { response: { 200: charset } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { 200: upperCase } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { 200: both } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { 200: stream, default: streamOf(Problem) } } }, () => ticks)
  app.get('/', { sse: true, schema: { response: { 200: streamOf(Type.String()) } } }, () => of('text'))
  app.get('/', { sse: true, schema: { response: { 200: streamOf(Type.Union([Tick, Problem])) } } }, () => ticks)

  // @ts-expect-error: under 2xx
  app.get('/', { sse: true, schema: { response: { '2xx': stream } } }, () => texts)
  // @ts-expect-error: under 2XX
  app.get('/', { sse: true, schema: { response: { '2XX': stream } } }, () => texts)
  // @ts-expect-error: under default
  app.get('/', { sse: true, schema: { response: { default: stream } } }, () => texts)
  // @ts-expect-error: under another status code
  app.get('/', { sse: true, schema: { response: { 201: stream } } }, () => texts)
  // @ts-expect-error: in another case
  app.get('/', { sse: true, schema: { response: { 200: upperCase } } }, () => texts)
  // @ts-expect-error: with a charset
  app.get('/', { sse: true, schema: { response: { 200: charset } } }, () => texts)
  // @ts-expect-error: what 200 says goes before what default says
  app.get('/', { sse: true, schema: { response: { 200: stream, default: streamOf(Type.String()) } } }, () => texts)
}

/** Checks routes without a schema of a stream, which can stream any source. */
export function unchecked (app = Fastify().withTypeProvider<TypeBoxTypeProvider>()): void {
  app.get('/', { sse: true }, () => texts)
  app.get('/', { sse: true, schema: { querystring } }, ({ query }) => of({ data: query.symbol }))
  app.get('/', { sse: true, schema: { querystring, response: { 404: Problem } } }, ({ query }) => {
    expectType<Equal<typeof query, { symbol: string }>>()
    return texts
  })
  app.get('/', { sse: true, schema: { response: { 200: Tick } } }, () => texts)
  // With type arguments, nothing is inferred from the schema.
  app.get<{ Querystring: { symbol: string } }>('/', { sse: true, schema }, ({ query }) => of({ data: query.symbol }))

  // @ts-expect-error: without the route option Fastify's own check holds
  app.get('/', { schema }, () => ticks)
  // @ts-expect-error: with the route option off, too
  app.get('/', { sse: false, schema }, () => ticks)
  // @ts-expect-error: without the route option Fastify's own check holds
  app.route({ method: 'GET', url: '/', schema, handler: () => ticks })
  app.get('/', { schema: { querystring, response: { 200: Tick } } }, ({ query }) => ({ price: query.symbol.length }))
  app.get('/', { sse: false, schema: { response: { 200: Tick } } }, () => ({ price: 1 }))
  // @ts-expect-error: Fastify's own check
  app.get('/', { schema: { response: { 200: Tick } } }, () => ({ price: 'text' }))
}

export const plugin: FastifyPluginAsyncTypebox<{ symbol: string }> = async (app, { symbol }) => {
  app.get('/', { sse: true, schema }, ({ query }) => query.symbol === symbol ? ticks : of())
  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, () => texts)
}

export const callback: FastifyPluginCallbackTypebox = (app, _options, done) => {
  app.route({ method: 'GET', url: '/', sse: true, schema, handler: () => ticks })
  done()
}

/** Checks that an instance with a type provider can still be used as any other. */
export function scopes (root: FastifyInstance): void {
  root.register(plugin, { symbol: 'A' })
  root.withTypeProvider<TypeBoxTypeProvider>().register(callback)
  const plain: FastifyInstance = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  plain.register(plugin, { prefix: '/a', symbol: 'A' })
}
