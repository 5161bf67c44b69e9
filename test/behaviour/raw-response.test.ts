import type { FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions } from '../../index.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

limitEachTest()

/** A stream, and Node's response that carries it. */
async function serve (t: Test, options: SseOptions = {}) {
  const reasons: string[] = []
  const probe = new Probe()
  const called = deferred<FastifyReply['raw']>()
  const app = await buildApp(t, { onClose: ({ reason }) => { reasons.push(reason) } })
  app.get('/', (_request, reply) => {
    called.resolve(reply.raw)
    return reply.sse(probe.source, options)
  })
  app.get('/next', async () => 'the next answer')
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  client.get('/')
  await client.until(/:\n/)
  return { app, client, probe, reasons, raw: await within(called.promise, 'the call') }
}

t.test('Should write nothing behind the end of a response that somebody else ends', async (t) => {
  const { app, client, probe, raw, reasons } = await serve(t)
  probe.next('before')
  await client.until(/data: before\n\n/)
  raw.end()
  probe.next('behind')
  await waitUntil(() => app.sse.size === 0)
  t.equal(probe.unsubscribed, 1)
  t.same(reasons, ['client'])
  client.get('/next')
  await client.until(/the next answer$/)
  t.match(client.text, /data: before\n\n\r\n0\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*the next answer$/, 'the connection is still good')
  t.notMatch(client.text, /behind/)
})

// The former go to the socket, and the latter in pieces through the response.
for (const size of [60_000, 2 ** 20]) {
  t.test(`Should unsubscribe where somebody ends the response of a client that does not read: events of ${size} bytes`, async (t) => {
    const { app, client, probe, raw, reasons } = await serve(t, { buffer: { maxBytes: 2 ** 30 } })
    client.socket.pause()
    while (raw.socket?.writableNeedDrain !== true) {
      probe.next('x'.repeat(size))
      await immediate()
    }
    raw.end()
    t.equal(probe.unsubscribed, 0)
    probe.next('behind')
    await waitUntil(() => probe.unsubscribed === 1)
    t.equal(app.sse.size, 1, 'the response waits for its client')
    client.socket.resume()
    await client.until(/\r\n0\r\n\r\n$/)
    await waitUntil(() => app.sse.size === 0)
    t.notMatch(client.text, /behind/)
    t.same(reasons, ['client'])
  })
}

t.test('Should be closed once where the response is ended and destroyed in the turn of an event', async (t) => {
  const { app, client, probe, raw, reasons } = await serve(t)
  probe.next('lost')
  raw.end()
  raw.destroy()
  if (!client.socket.closed) await once(client.socket, 'close')
  await waitUntil(() => app.sse.size === 0)
  for (let i = 0; i < 3; i++) await immediate()
  t.equal(probe.unsubscribed, 1)
  t.same(reasons, ['client'])
})

for (const times of [1, Infinity]) {
  t.test(`Should end a stalled stream whose response cannot be destroyed, ${times === 1 ? 'the first time' : 'ever'}`, async (t) => {
    const { app, client, probe, raw, reasons } = await serve(t, { stallTimeout: 100, buffer: { maxBytes: 2 ** 30 } })
    const { destroy } = raw
    let calls = 0
    raw.destroy = (...args) => {
      if (++calls <= times) throw new Error('it cannot be destroyed')
      return Reflect.apply(destroy, raw, args)
    }
    client.socket.pause()
    while (raw.socket?.writableNeedDrain !== true) {
      probe.next('x'.repeat(2 ** 20))
      await immediate()
    }
    await waitUntil(() => app.sse.size === 0)
    t.equal(probe.unsubscribed, 1)
    t.same(reasons, ['error'])
    client.socket.destroy()
  })
}

for (const { name, leave } of [
  { name: 'ended', leave: ({ raw }) => { raw.end() } },
  { name: 'broken', leave: ({ raw, client }) => {
    raw.write = () => { throw new Error('nothing can be written') }
    client.socket.destroy()
  } }
] as ReadonlyArray<{ name: string, leave (given: { raw: FastifyReply['raw'], client: RawClient }): void }>) {
  t.test(`Should take no notice of an event that comes while a response closes that is ${name}`, async (t) => {
    const reasons: string[] = []
    const probe = new Probe()
    const called = deferred<FastifyReply['raw']>()
    const app = await buildApp(t, { onClose: ({ reason }) => { reasons.push(reason) } })
    app.get('/', (_request, reply) => {
      // It is called before the listener of the stream.
      reply.raw.on('close', () => probe.next('too late'))
      called.resolve(reply.raw)
      return reply.sse(probe.source)
    })
    await listen(app)
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get('/')
    await client.until(/:\n/)
    leave({ raw: await within(called.promise, 'the call'), client })
    await waitUntil(() => app.sse.size === 0)
    await immediate()
    t.equal(probe.unsubscribed, 1)
    t.same(reasons, ['client'])
  })
}
