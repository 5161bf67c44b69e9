import { createRequire } from 'node:module'
import Fastify from 'fastify'
import sse from '../../../dist/index.js'

// One copy of RxJS, as an application has: that of the plugin.
const { NEVER, Subject } = createRequire(new URL('../../../dist/index.js', import.meta.url))('rxjs')

/** One hot Observable for all. */
export async function start ({ tokens, encodeOnce }) {
  const events$ = new Subject()
  const app = Fastify()
  await app.register(sse, { encodeOnce })
  app.get('/events', (request, reply) => reply.sse(events$))
  app.get('/heartbeats', (request, reply) => reply.sse(NEVER, { heartbeat: 1000 }))
  app.get('/tokens', (request, reply) => reply.sse(tokens()))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, emit: (data) => events$.next({ data }) }
}
