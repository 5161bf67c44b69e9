import type { EventEmitter } from 'node:events'
import type { Writable } from 'node:stream'
import { of } from 'rxjs'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { SseCloseReason } from '../../index.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { deferred, once, within } from '../fixtures/waits.ts'

type Pipe = (destination: Writable, options?: { end?: boolean }) => Writable

/** An application with trailers, whose payload is piped as Fastify does it before 5.12.8: without `{ end: false }`. */
async function buildWithTrailers (t: Test): Promise<FastifyInstance> {
  const app = await buildApp(t)
  app.addHook('onRequest', async (_request, reply) => { reply.trailer('x-trailer', async () => 'sent') })
  app.addHook('onSend', async (_request, _reply, payload) => {
    const stream = payload as EventEmitter & { pipe: Pipe }
    const { pipe } = stream
    stream.pipe = (destination) => Reflect.apply(pipe, stream, [destination])
  })
  return app
}

t.test('Should send trailers at the end, where Fastify does not say that it ends the response', async (t) => {
  const app = await buildWithTrailers(t)
  app.get('/', (_request, reply) => reply.sse(of('a', 'b')))
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await client.until(/data: a\n\ndata: b\n\n\r\n0\r\nx-trailer: sent\r\n\r\n$/)
  client.socket.destroy()
  t.equal(app.sse.size, 0)
})

t.test('Should send no trailers behind a stream that fails, where Fastify does not say that it ends the response', async (t) => {
  const app = await buildWithTrailers(t)
  const probe = new Probe()
  const { promise: reason, resolve } = deferred<SseCloseReason>()
  app.get('/', (_request, reply) => reply.sse(probe.source, { onClose: ({ reason }) => resolve(reason) }))
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await probe.until(({ subscribed }) => subscribed === 1)
  await client.until(/:\n/)
  probe.error(new Error('mid-stream'))
  await once(client.socket, 'close')
  t.notMatch(client.text, /x-trailer: sent/)
  t.equal(await within(reason, 'onClose'), 'error')
})
