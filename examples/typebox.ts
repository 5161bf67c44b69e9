import swagger from '@fastify/swagger'
import { Type } from '@fastify/type-provider-typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import sse, { sseTransformObject } from 'fastify-rxjs-sse'
import { filter, interval, map } from 'rxjs'

const app = Fastify({ forceCloseConnections: true }).withTypeProvider<TypeBoxTypeProvider>()
await app.register(swagger, {
  openapi: { openapi: '3.2.0', info: { title: 'Trades', version: '1.0.0' } },
  transformObject: sseTransformObject()
})
await app.register(sse)

const Trade = Type.Object({
  symbol: Type.Union([Type.Literal('AAA'), Type.Literal('BBB')]),
  price: Type.Number(),
  quantity: Type.Integer()
})

// Stands in for an exchange: each trade has an account too, which is nobody's business.
const trades = interval(100).pipe(map((n) => ({
  symbol: n % 2 === 0 ? 'AAA' as const : 'BBB' as const,
  price: 100 + n / 4,
  quantity: n + 1,
  account: `account-${n}`
})))

// What the handler returns is the stream. The compiler checks it against the schema, and what the schema does not
// declare is not sent.
app.get('/trades', {
  sse: true,
  schema: {
    summary: 'Trades as they happen',
    querystring: Type.Object({ symbol: Type.Optional(Trade.properties.symbol) }),
    response: { 200: { description: 'One trade an event', content: { 'text/event-stream': { schema: Trade } } } }
  }
}, ({ query: { symbol } }) => trades.pipe(
  filter((trade) => symbol === undefined || trade.symbol === symbol),
  map((trade) => ({ type: 'trade', id: trade.quantity, data: trade }))
))

app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => app.close())

const { PORT = '3000' } = process.env
const { port } = new URL(await app.listen({ port: Number(PORT) }))
console.log(`Trades at http://localhost:${port}/trades, described at http://localhost:${port}/openapi.json`)
