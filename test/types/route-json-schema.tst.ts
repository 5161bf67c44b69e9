import type { FastifyPluginAsyncJsonSchemaToTs, JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import Fastify from 'fastify'
import { map, of } from 'rxjs'
import type { Observable } from 'rxjs'
import type { MessageEvent } from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

const tick = {
  type: 'object',
  properties: { price: { type: 'number' }, symbol: { enum: ['A', 'B'] } },
  required: ['price'],
  additionalProperties: false
} as const
const querystring = {
  type: 'object', properties: { symbol: { type: 'string' } }, required: ['symbol'], additionalProperties: false
} as const
const schema = { querystring, response: { 200: { content: { 'text/event-stream': { schema: tick } } } } } as const
const counter = { content: { 'text/event-stream': { schema: { type: 'number' } } } } as const

declare const ticks: Observable<MessageEvent<{ price: number, symbol: 'A' | 'B' }>>
declare const texts: Observable<MessageEvent<string>>

export function checked (app = Fastify().withTypeProvider<JsonSchemaToTsProvider>()): void {
  app.get('/', { sse: true, schema }, ({ query }) => {
    expectType<Equal<typeof query, { symbol: string }>>()
    return ticks
  })
  app.get('/', { sse: true, schema }, async function * ({ query }) {
    yield { data: { price: query.symbol.length, symbol: 'A' as const } }
  })
  // A schema that is written in the options needs no `as const`.
  app.get('/', {
    sse: { retry: 1000 },
    schema: {
      querystring: { type: 'object', properties: { symbol: { type: 'string' } }, required: ['symbol'] },
      response: {
        '2xx': {
          description: 'Ticks',
          content: {
            'text/event-stream': {
              schema: { type: 'object', properties: { price: { type: 'number' } }, required: ['price'] }
            }
          }
        }
      }
    }
  }, ({ query }) => {
    expectType<Equal<typeof query.symbol, string>>()
    return ticks.pipe(map(({ data }) => ({ data: { price: data?.price ?? 0 } })))
  })
  app.route({
    method: 'GET', url: '/', sse: true, schema, handler: async ({ query }) => query.symbol === 'A' ? ticks : of()
  })
  app.get('/', { schema: { querystring } }, ({ query }) => query.symbol)

  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, () => texts)
  // @ts-expect-error: not of the enumeration
  app.get('/', { sse: true, schema }, () => of({ data: { price: 1, symbol: 'C' } }))
  // @ts-expect-error: data of another type
  app.route({ method: 'GET', url: '/', sse: true, schema, handler: async () => texts })
  // @ts-expect-error: no source
  app.get('/', { sse: true, schema }, () => ({ price: 1 }))
  // @ts-expect-error: data of another type, under `default`
  app.get('/', { sse: true, schema: { response: { default: counter } } }, () => texts)
  // @ts-expect-error: without the route option Fastify's own check holds
  app.get('/', { schema }, () => ticks)
}

export const plugin: FastifyPluginAsyncJsonSchemaToTs = async (app) => {
  app.get('/', { sse: true, schema }, () => ticks)
  // @ts-expect-error: data of another type
  app.get('/', { sse: true, schema }, () => texts)
}
