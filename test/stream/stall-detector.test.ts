import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import { NEVER } from 'rxjs'
import type { SseOptions } from '../../index.ts'
import { StallDetector } from '../../lib/stream/stall-detector.ts'
import { Probe, buildApp, listen, portOf } from '../fixtures/app.ts'
import { Clock } from '../fixtures/clock.ts'
import { Http2Client, buildHttp2App, openSession } from '../fixtures/http2.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { noSignals } from '../fixtures/program.ts'
import { Closings, Reader, fillKernel, stall } from '../fixtures/slow.ts'
import { immediate, once } from '../fixtures/waits.ts'

const MIB = 2 ** 20
const STALL_TIMEOUT = 500

/** A probe that is streamed at `/`, with enough room to stall in. */
async function serve (t: Test, options: SseOptions = {}) {
  const logs = new Logs()
  const probe = new Probe()
  const closings = new Closings()
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(probe.source, {
    buffer: { maxBytes: 64 * MIB }, stallTimeout: STALL_TIMEOUT, onClose: closings.onClose, ...options
  }))
  app.get('/quiet', (_request, reply) => reply.sse(NEVER, { stallTimeout: 50, heartbeat: false, onClose: closings.onClose }))
  const url = await listen(app)
  return { app, url, probe, closings, logs, port: portOf(app) }
}

t.test('Should tell a stalled connection when nothing has left for the timeout', (t) => {
  const clock = new Clock(t)
  const detector = new StallDetector(1000)
  t.equal(detector.isStalled(0), false)
  clock.advance(999)
  t.equal(detector.isStalled(0), false)
  clock.advance(1)
  t.equal(detector.isStalled(0), true)
  t.end()
})

t.test('Should take a single byte for progress', (t) => {
  const clock = new Clock(t)
  const detector = new StallDetector(1000)
  for (let left = 1; left < 10; left++) {
    clock.advance(999)
    t.equal(detector.isStalled(left), false)
  }
  clock.advance(1000)
  t.equal(detector.isStalled(9), true)
  t.end()
})

t.test('Should drop the connection of a process that was stopped', { skip: noSignals }, async (t) => {
  const { app, url, probe, closings, logs } = await serve(t)
  const peer = fork(fileURLToPath(new URL('../fixtures/peer.js', import.meta.url)), [url], { execArgv: [] })
  t.teardown(() => peer.kill('SIGKILL'))
  await once(peer, 'message')
  peer.kill('SIGSTOP')
  const start = performance.now()
  await fillKernel(probe)
  const { reason, error } = await closings.first()
  const waited = performance.now() - start
  t.equal(reason, 'stalled')
  t.match(error, { code: 'FST_SSE_STALLED', message: /"stallTimeout" allows, which is 500 ms/ })
  t.ok(waited >= STALL_TIMEOUT, `after ${Math.round(waited)} ms`)
  t.ok(waited < 6 * STALL_TIMEOUT, `after ${Math.round(waited)} ms`)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(logs.alarms.map(({ level, err, sse }) => [level, err?.code, sse?.reason]), [[LEVEL.warn, 'FST_SSE_STALLED', 'stalled']])
})

t.test('Should not take heartbeats for progress', async (t) => {
  const { app, probe, closings, port } = await serve(t, { heartbeat: 20 })
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  t.equal((await closings.first()).reason, 'stalled')
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
})

t.test('Should not take what the source goes on emitting for progress', async (t) => {
  const { probe, closings, port } = await serve(t, { buffer: { maxBytes: MIB, overflow: 'drop-oldest' } })
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  const emitting = setInterval(() => probe.next('x'.repeat(1000)), 10)
  t.teardown(() => clearInterval(emitting))
  const { reason, dropped } = await closings.first()
  t.equal(reason, 'stalled')
  t.ok(dropped > 0)
})

t.test('Should not drop a quiet connection, to which nothing is owed', async (t) => {
  const { app, probe, closings, port } = await serve(t)
  const quiet = await Reader.open(t, port, '/quiet')
  const stopped = await Reader.open(t, port, '/quiet')
  stopped.pause()
  // By then, one of ten times their timeout has been found stalled.
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  t.equal((await closings.first()).reason, 'stalled')
  t.same([quiet.isClosed, stopped.isClosed, app.sse.size], [false, false, 2])
})

t.test('Should drop a stalled client whose source has completed', async (t) => {
  const { app, probe, closings, port } = await serve(t)
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  probe.complete()
  t.same([probe.unsubscribed, app.sse.size, closings.reasons], [1, 1, []])
  t.equal((await closings.first()).reason, 'stalled')
  t.equal(app.sse.size, 0)
})

t.test('Should drop a stalled client whose source has completed when only the socket holds what waits', async (t) => {
  const { app, probe, closings, port } = await serve(t, { buffer: { maxBytes: 1, overflow: 'drop-newest' } })
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  for (let i = 0; i < 2000; i++) {
    probe.next('x'.repeat(8000))
    await immediate()
  }
  probe.complete()
  const { reason, dropped } = await closings.first()
  t.equal(reason, 'stalled')
  t.ok(dropped > 0)
  t.equal(app.sse.size, 0)
})

t.test('Should drop a stalled client whose source has failed', async (t) => {
  const { app, probe, closings, port } = await serve(t, { onError: () => 'sorry' })
  await stall(t, port)
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  const start = performance.now()
  probe.error(new Error('late'))
  t.same([app.sse.size, closings.reasons], [1, []])
  const { reason, error } = await closings.first()
  t.equal(reason, 'error')
  t.match(error, { message: 'late' })
  t.ok(performance.now() - start < 3 * STALL_TIMEOUT)
  t.equal(app.sse.size, 0)
})

for (const kind of ['TLS', 'h2c'] as const) {
  t.test(`Should drop a stream that flow control holds back (${kind})`, async (t) => {
    const probe = new Probe()
    const closings = new Closings()
    const app = await buildHttp2App(t, kind)
    app.get('/', (_request, reply) => reply.sse(probe.source, { stallTimeout: STALL_TIMEOUT, heartbeat: 20, onClose: closings.onClose }))
    app.get('/other', (_request, reply) => reply.sse(NEVER))
    const session = await openSession(t, app)
    const client = new Http2Client(session)
    const other = new Http2Client(session, '/other')
    await client.until(/:\n\n/)
    await other.until(/:\n\n/)
    client.stream.pause()
    probe.next('x'.repeat(MIB))
    t.equal((await closings.first()).reason, 'stalled')
    t.same([probe.unsubscribed, app.sse.size], [1, 1])
    client.stream.resume()
    await client.closed
    t.match(client.error, { message: /NGHTTP2_INTERNAL_ERROR/ })
    t.equal(other.stream.closed, false, 'the session goes on')
  })
}
