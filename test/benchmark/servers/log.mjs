import Fastify from 'fastify'
import sse from '../../../dist/index.js'

/** Clients that resume from a log. */
export async function startLog (log) {
  const app = Fastify()
  await app.register(sse)
  app.get('/herd', (request, reply) => reply.sse(log))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, emit: (data) => log.append({ data }), prepareHerd }

  async function prepareHerd (texts) {
    const lastEventId = await log.append({ data: 'before' })
    for (const data of texts) await log.append({ data })
    return lastEventId
  }
}
