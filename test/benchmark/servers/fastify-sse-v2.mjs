import Fastify from 'fastify'
import { FastifySSEPlugin } from 'fastify-sse-v2'

/** One `reply.sse(message)` for each event. The first, a comment, makes the head leave. */
export async function start ({ tokens }) {
  const replies = new Set()
  const app = Fastify()
  await app.register(FastifySSEPlugin)
  app.get('/events', (request, reply) => {
    reply.sse({ comment: 'connected' })
    replies.add(reply)
    request.socket.on('close', () => {
      replies.delete(reply)
      reply.sseContext.source.end()
    })
  })
  app.get('/tokens', (request, reply) => {
    reply.sse(tokens())
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, emit }

  function emit (data) {
    const message = { data }
    for (const reply of replies) reply.sse(message)
  }
}
