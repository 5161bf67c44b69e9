import Fastify from 'fastify'
import sse from '../../../dist/index.js'

export const SCHEMA = {
  type: 'object',
  properties: {
    id: { type: 'integer' },
    symbol: { type: 'string' },
    market: { type: 'string' },
    price: { type: 'number' },
    volume: { type: 'integer' },
    high: { type: 'number' },
    low: { type: 'number' },
    isOpen: { type: 'boolean' },
    currency: { type: 'string' },
    text: { type: 'string' }
  }
}

/** One event of ten fields after the other, serialised as the route says. */
export async function startObjects ({ tokens }, route) {
  const app = Fastify()
  await app.register(sse)
  app.get('/tokens', route, (request, reply) => reply.sse(tokens((text) => ({
    data: {
      id: 123456,
      symbol: 'ACME',
      market: 'XNAS',
      price: 101.25,
      volume: 4200,
      high: 102.5,
      low: 99.75,
      isOpen: true,
      currency: 'USD',
      text
    }
  }))))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server }
}
