import Fastify from 'fastify'
import { interval, map } from 'rxjs'
import sse from 'fastify-rxjs-sse'

const app = Fastify()
await app.register(sse)

app.get('/ticks', (_request, reply) => reply.sse(
  interval(1000).pipe(map(() => ({ data: { hello: 'world' } })))
))

await app.listen({ port: 3000 })
