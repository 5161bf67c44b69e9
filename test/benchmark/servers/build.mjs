import { createRequire } from 'node:module'
import Fastify from 'fastify'

/** A server with the plugin as it is built in a checkout, and one hot Observable for all. */
export async function startBuild (checkout, { tokens, encodeOnce }) {
  const index = new URL('dist/index.js', checkout)
  const { default: sse } = await import(index)
  // One copy of RxJS, as an application has: that of the plugin.
  const { NEVER, Subject } = createRequire(index)('rxjs')
  const events$ = new Subject()
  const app = Fastify()
  await app.register(sse, encodeOnce === undefined ? {} : { encodeOnce })
  app.get('/events', (request, reply) => reply.sse(events$))
  app.get('/heartbeats', (request, reply) => reply.sse(NEVER, { heartbeat: 1000 }))
  app.get('/tokens', (request, reply) => reply.sse(tokens()))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, emit: (data) => events$.next({ data }) }
}
