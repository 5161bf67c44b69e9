// What a user writes: compiled against the packed package, and run where the compiler made CommonJS or Node's modules of it.
import Fastify from 'fastify'
import sse, { MemoryEventLog } from 'fastify-rxjs-sse'
import type { MessageEvent, SseOptions } from 'fastify-rxjs-sse'
import { RedisEventLog } from 'fastify-rxjs-sse/redis'
import { of } from 'rxjs'

interface Greeting {
  readonly hello: string
}

const options: SseOptions = { heartbeat: 1000 }
const message: MessageEvent<Greeting> = { id: 1, type: 'tick', data: { hello: 'world' } }

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(sse, { maxDuration: 3_600_000 })
  app.get('/', (_request, reply) => reply.sse(({ lastEventId }) => lastEventId === undefined ? of(message) : of(), options))
  app.get('/declared', { sse: { finite: true } }, () => of(message, { data: { hello: 'again' } }))
  app.get('/log', { sse: true }, () => new MemoryEventLog<Greeting>())
  // @ts-expect-error no time is a string
  app.get('/wrong-time', (_request, reply) => reply.sse(of(message), { heartbeat: 'often' }))
  // @ts-expect-error a source is no number
  app.get('/wrong-source', (_request, reply) => reply.sse(1))
  const size: number = app.sse.size
  const { payload } = await app.inject('/')
  console.log(payload)
  console.log(size, typeof MemoryEventLog, typeof RedisEventLog)
  await app.close()
}

void main()
