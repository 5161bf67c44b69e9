import { connect } from 'node:http2'
import t from 'tap'
import type { Test } from 'tap'
import { range } from 'rxjs'
import type { SseOptions, SseSource } from '../../index.ts'
import { Probe, buildApp, listen, portOf } from '../fixtures/app.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { MeasuredServer } from '../fixtures/measured-server.ts'
import { Closings, Reader, fillKernel, stall } from '../fixtures/slow.ts'
import { within } from '../fixtures/waits.ts'

/** A source that is streamed at `/`, to as many as ask: a probe, unless it is given. */
async function serve (t: Test, options: SseOptions = {}, source?: SseSource) {
  const logs = new Logs()
  const probe = new Probe()
  const closings = new Closings()
  const app = await buildApp(t, { onClose: closings.onClose, ...options }, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(source ?? probe.source))
  await listen(app)
  return { app, probe, closings, logs, port: portOf(app) }
}

t.test('Should drop the connection of a client that is owed more than maxBytes, and say which option to turn', async (t) => {
  const { app, probe, closings, logs, port } = await serve(t, { buffer: { maxBytes: 2 ** 21 } })
  const client = await Reader.open(t, port)
  client.pause()
  await fillKernel(probe)
  const { reason, error, dropped, events, bytes } = await closings.first()
  t.same([reason, dropped, probe.unsubscribed, app.sse.size], ['overflow', 0, 1, 0])
  t.match(error, { code: 'FST_SSE_OVERFLOW', message: /"buffer\.maxBytes" allows, which is 2097152; raise it/ })
  t.ok(events < 16 && bytes >= events * 2 ** 20, `${events} events, ${bytes} bytes`)

  await client.readAll()
  t.notOk(client.isComplete, 'it does not look like an end')
  t.ok(client.events.length <= events)
  for (const text of client.data) t.equal(text.length, 2 ** 20)
  t.same(logs.alarms.map(({ level, err, sse }) => [level, err?.code, sse?.reason]), [[LEVEL.warn, 'FST_SSE_OVERFLOW', 'overflow']])
})

t.test('Should drop it on HTTP/2 too', async (t) => {
  const closings = new Closings()
  const probe = new Probe()
  const app = await buildApp(t, { onClose: closings.onClose, buffer: { maxBytes: 2 ** 21 } }, { http2: true } as object)
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const session = connect(await listen(app))
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/' })
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve))
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  t.equal((await closings.first()).reason, 'overflow')
  stream.resume()
  t.match(await within(failed, 'the error of the HTTP/2 stream'), { code: 'ERR_HTTP2_STREAM_ERROR', message: /NGHTTP2_INTERNAL_ERROR/ })
  t.equal(probe.unsubscribed, 1)
})

t.test('Should say how many were dropped, in onClose and in the log', async (t) => {
  const { probe, closings, logs, port } = await serve(t, { buffer: { maxBytes: 2 ** 21, overflow: 'drop-oldest' } })
  const client = await Reader.open(t, port)
  client.pause()
  await fillKernel(probe)
  probe.complete()
  await client.readAll()
  const { reason, dropped, events } = await closings.first()
  t.equal(reason, 'complete')
  t.ok(dropped > 0)
  t.equal(events + dropped, 16)
  const { sse } = await logs.until(({ msg }) => msg === 'event stream closed')
  t.match(sse, { dropped, events })
  t.same(logs.alarms, [])
})

t.test('Should count the bytes that wait in the socket', async (t) => {
  // One frame is taken by the socket in pieces: what of it has not left counts, as what is in the queue does.
  const { probe, closings, port } = await serve(t, { buffer: { maxBytes: 2 ** 23 } })
  const client = await Reader.open(t, port)
  client.pause()
  const large = 'x'.repeat(2 ** 24)
  probe.next(large)
  t.same(closings.reasons, [], 'one is taken when nothing waits, however large')
  probe.next('small')
  t.equal((await closings.first()).reason, 'overflow')
})

t.test('Should send a client what was emitted before its stream failed', async (t) => {
  const { probe, closings, port } = await serve(t, { buffer: { maxBytes: 2 ** 25 } })
  const client = await Reader.open(t, port)
  client.pause()
  await fillKernel(probe)
  probe.error(new Error('late'))
  await client.readAll()
  t.same([client.events.length, client.isComplete], [16, false])
  t.equal((await closings.first()).reason, 'error')
})

t.test('Should answer a long synchronous Observable by the error handler: its head had not left', async (t) => {
  const { app, closings } = await serve(t, {}, range(0, 1e6))
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.match(response.json(), { code: 'FST_SSE_OVERFLOW', message: /give a source that can wait: an iterable instead of an Observable/ })
  t.same([closings.reasons, app.sse.size], [[], 0])
})

t.test('Should drop of a long synchronous Observable what the policy says', async (t) => {
  const { app, closings } = await serve(t, { buffer: { maxBytes: 10_000, overflow: 'drop-oldest' } }, range(0, 1e5))
  const { payload } = await app.inject('/')
  t.match(payload, /data: 99999\n\n$/)
  const { events, dropped } = await closings.first()
  t.equal(events + dropped, 1e5)
})

t.test('Should ask for a key only when something waits, and fail the stream whose key throws', async (t) => {
  let asked = 0
  const latest = (): unknown => {
    asked++
    throw new Error('no key')
  }
  const { probe, closings, port } = await serve(t, { buffer: { overflow: { latest } } })
  const client = await Reader.open(t, port)
  const other = await Reader.open(t, port)
  probe.next('first')
  await other.until(({ events }) => events.length === 1)
  await client.until(({ events }) => events.length === 1)
  t.equal(asked, 0)
  client.pause()
  other.pause()
  await fillKernel(probe)
  client.resume()
  other.resume()
  await closings.until(({ all }) => all.length === 2)
  t.same([asked, closings.reasons], [2, ['error', 'error']])
  t.match(closings.all[0]?.error, { message: 'no key' })
})

t.test('Should not slow a fast client beside 100 stalled ones of the same source, which loses nothing', async (t) => {
  const server = await MeasuredServer.startFor(t)
  const count = 16 * 100

  /** How long it takes until a client has all, in order. */
  async function time (): Promise<number> {
    const client = await Reader.open(t, server.port, '/hot?policy=disconnect&maxBytes=4194304')
    const start = performance.now()
    // By the millisecond, as the source of a service may be.
    void server.tell({ type: 'emit', kind: 'objects', count, pause: 1 })
    await client.until(({ events }) => events.length === count)
    const duration = performance.now() - start
    const expected = Array.from({ length: count }, (_item, i) => (i * (1 + Math.trunc(i / 97) % 96)) % 97)
    t.same(client.data.map((text) => JSON.parse(text).index), expected)
    client.response.destroy()
    return duration
  }

  await time()
  const alone = await time()
  await Promise.all(Array.from({ length: 100 }, () => stall(t, server.port, '/hot?policy=drop-oldest&maxBytes=1048576')))
  await server.untilSize(100)
  await server.tell({ type: 'emit', kind: 'documents', count: 128 })
  const beside = await time()
  t.ok(beside < 3 * alone, `${Math.round(alone)} ms alone, ${Math.round(beside)} ms beside them`)
  t.equal((await server.tell({ type: 'look' })).overflow, 0)
})
