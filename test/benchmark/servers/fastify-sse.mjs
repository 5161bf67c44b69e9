import sse from '@fastify/sse'
import Fastify from 'fastify'

/** A connection is kept alive, sent a first message, and then one `send()` for each event. */
export async function start ({ tokens }) {
  const replies = new Set()
  const app = Fastify()
  await app.register(sse)
  app.get('/events', { sse: 'only' }, async (request, reply) => {
    reply.sse.keepAlive()
    await reply.sse.send({ data: 'Connected' })
    replies.add(reply)
    reply.sse.onClose(() => replies.delete(reply))
  })
  app.get('/tokens', { sse: 'only' }, async (request, reply) => {
    await reply.sse.send(tokens())
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, emit }

  function emit (data) {
    const message = { data }
    for (const reply of replies) reply.sse.send(message)
  }
}
