import { Readable, Transform, pipeline } from 'node:stream'
import type { Writable } from 'node:stream'
import { createBrotliCompress, createGunzip, createGzip } from 'node:zlib'
import { Subject, concat, interval, map, of, take } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { SseSummary } from '../../index.ts'
import { Probe, RawClient, buildApp, eventsOf, isStream, listen, parse } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { deferred, fetch, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

/** An application whose `onSend` hook puts a stream between, as compressors do. */
async function buildPiped (t: Test, between: () => Transform, logs = new Logs()): Promise<FastifyInstance> {
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.addHook('onSend', async (_request, _reply, payload) => isStream(payload) ? pipeline(payload, between(), () => {}) : payload)
  return app
}

function shout (): Transform {
  return new Transform({
    transform (chunk, _encoding, done) { done(null, String(chunk).toUpperCase()) }
  })
}

t.test('Should unsubscribe when an onSend hook answers with a string', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.addHook('onSend', async () => 'data: instead\n\n')
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await fetch(await listen(app))
  t.equal(response.status, 200)
  t.equal(await response.text(), 'data: instead\n\n')
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should unsubscribe when an onSend hook answers with another stream', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.addHook('onSend', async () => Readable.from(['data: in', 'stead\n\n']))
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await fetch(await listen(app))
  t.equal(await response.text(), 'data: instead\n\n')
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should go through a stream that an onSend hook puts between, and end it', async (t) => {
  const app = await buildPiped(t, shout)
  app.get('/', (_request, reply) => reply.sse(interval(1).pipe(take(3), map((n) => `event ${n}`))))
  const response = await fetch(await listen(app))
  t.equal(await response.text(), ':\n\nDATA: EVENT 0\n\nDATA: EVENT 1\n\nDATA: EVENT 2\n\n')
  t.equal(app.sse.size, 0)
})

// pipeline() listens for the end only after it has called pipe().
t.test('Should end a stream put between when the source has completed before', async (t) => {
  for (const between of [shout, () => createGzip()]) {
    const app = await buildPiped(t, between)
    app.get('/', (_request, reply) => {
      if (between !== shout) reply.header('content-encoding', 'gzip')
      return reply.sse(of('a', 'b'))
    })
    const response = await fetch(await listen(app))
    t.match(await response.text(), /^:\n\ndata: a\n\ndata: b\n\n$/i)
    t.equal(app.sse.size, 0)
  }
})

t.test('Should answer with the status of an error from before a stream was put between', async (t) => {
  const app = await buildApp(t)
  const source = new Subject<string>()
  app.addHook('onSend', async (_request, _reply, payload) => {
    if (!isStream(payload)) return payload
    source.error(Object.assign(new Error('boom'), { statusCode: 422 }))
    return pipeline(payload, shout(), () => {})
  })
  app.get('/', (_request, reply) => reply.sse(source))
  const response = await fetch(await listen(app))
  t.equal(response.status, 422)
  t.match(await response.json(), { message: 'boom' })
  t.equal(app.sse.size, 0)
})

t.test('Should send each event at once through a compressor that an onSend hook puts between', async (t) => {
  for (const [encoding, compress] of [['gzip', createGzip], ['br', createBrotliCompress]] as const) {
    const app = await buildPiped(t, () => compress())
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.header('content-encoding', encoding).sse(concat(of('first'), probe.source)))
    const response = await fetch(await listen(app), { headers: { 'accept-encoding': encoding } })
    const events = eventsOf(response)
    t.match(await events.next(), { value: { data: 'first' } })
    for (const data of ['second', 'third', 'x'.repeat(1e5)]) {
      probe.next(data)
      t.match(await events.next(), { value: { data } })
    }
    probe.complete()
    t.match(await events.next(), { done: true })
    t.equal(probe.unsubscribed, 1)
  }
})

t.test('Should unsubscribe when the client leaves a stream with another between', async (t) => {
  const app = await buildPiped(t, shout)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(concat(of('first'), probe.source)))
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await client.until(/FIRST/)
  client.socket.destroy()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should break the connection when the source fails behind a stream put between', async (t) => {
  for (const between of [shout, () => createGzip()]) {
    const app = await buildPiped(t, between)
    const probe = new Probe()
    const { promise: closed, resolve: onClose } = deferred<SseSummary>()
    app.get('/', (_request, reply) => reply.sse(concat(of('first'), probe.source), { onError: () => 'last words', onClose }))
    await listen(app)
    const client = new RawClient(app)
    client.get('/')
    await client.until(/\r\n\r\n.+\r\n/s)
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.error(new Error('mid-stream'))
    await once(client.socket, 'close')
    const body = between === shout ? client.text : await gunzipChunks(client.text)
    t.match(body, /data: last words/i)
    t.notMatch(client.text, /\r\n0\r\n\r\n$/)
    t.match(await within(closed, 'onClose'), { reason: 'error', error: { message: 'mid-stream' } })
    t.equal(app.sse.size, 0)
  }
})

t.test('Should unsubscribe when a stream put between fails', async (t) => {
  const app = await buildPiped(t, () => new Transform({
    transform (chunk, _encoding, done) { done(String(chunk).includes('bad') ? new Error('between') : null, chunk) }
  }))
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(concat(of('good'), probe.source)))
  const response = await fetch(await listen(app))
  const events = eventsOf(response)
  t.match(await events.next(), { value: { data: 'good' } })
  probe.next('bad')
  await t.rejects(events.next())
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should wait for a stream put between that takes no more', async (t) => {
  const { promise: isHeld, resolve: hold } = deferred<void>()
  const held: Array<() => void> = []
  const app = await buildPiped(t, () => new Transform({
    writableHighWaterMark: 1,
    transform (chunk, _encoding, done) {
      held.push(() => done(null, chunk))
      hold()
    }
  }))
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const pending = fetch(await listen(app))
  await within(isHeld, 'the first bytes')
  for (const data of ['a', 'b', 'c']) probe.next(data)
  probe.complete()
  t.equal(held.length, 1, 'nothing more is written into it')
  let chunks = 0
  await waitUntil(() => {
    for (const pass of held.splice(0)) {
      chunks++
      pass()
    }
    return chunks >= 4
  })
  t.same(parse(await (await pending).text()).map(({ data }) => data), ['a', 'b', 'c'])
})

t.test('Should send trailers at the end', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.trailer('x-count', async () => '2').sse(of('a', 'b')))
  await listen(app)
  const client = new RawClient(app)
  client.get('/', 'TE: trailers')
  await client.until(/\r\n0\r\n.*\r\n\r\n$/s)
  t.match(client.text, /\r\ntrailer: x-count\r\n/i)
  t.match(client.text, /data: a\n\ndata: b\n\n\r\n0\r\nx-count: 2\r\n\r\n$/)
  t.equal(app.sse.size, 0)
  client.socket.destroy()
})

t.test('Should unsubscribe when the client leaves a stream with trailers, and break one that fails', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  const reasons: string[] = []
  const { promise: bothClosed, resolve } = deferred<void>()
  const onClose = ({ reason }: SseSummary): void => { if (reasons.push(reason) === 2) resolve() }
  app.get('/', (_request, reply) => reply.trailer('x-count', async () => '2').sse(concat(of('first'), probe.source), { onClose }))
  await listen(app)
  const leaver = new RawClient(app)
  leaver.get('/')
  await leaver.until(/first/)
  leaver.socket.destroy()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)

  const client = new RawClient(app)
  client.get('/')
  await client.until(/first/)
  probe.error(new Error('mid-stream'))
  await once(client.socket, 'close')
  t.notMatch(client.text, /x-count: 2/)
  await within(bothClosed, 'onClose of both')
  t.same(reasons, ['client', 'error'])
  t.equal(app.sse.size, 0)
})

/** The text in a chunked body of gzip that was cut off. */
async function gunzipChunks (response: string): Promise<string> {
  let rest = response.slice(response.indexOf('\r\n\r\n') + 4)
  const gunzip = createGunzip()
  let text = ''
  gunzip.on('data', (chunk) => { text += chunk }).on('error', () => {})
  while (rest !== '') {
    const start = rest.indexOf('\r\n') + 2
    const length = Number.parseInt(rest, 16)
    await new Promise((resolve) => { (gunzip as Writable).write(Buffer.from(rest.slice(start, start + length), 'latin1'), resolve) })
    rest = rest.slice(start + length + 2)
  }
  await immediate()
  return text
}
