import { connect as connectSession, constants } from 'node:http2'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { SseCloseReason } from '../../index.ts'
import { Probe, listen, portOf } from '../fixtures/app.ts'
import { Http2Client, KINDS, buildHttp2App, openSession } from '../fixtures/http2.ts'
import { fillKernel } from '../fixtures/slow.ts'
import { cert } from '../fixtures/tls.ts'
import { immediate, once, waitUntil, within } from '../fixtures/waits.ts'

const { NGHTTP2_NO_ERROR } = constants

const warnings: Error[] = []
process.on('warning', (warning) => warnings.push(warning))

for (const kind of KINDS) {
  t.test(`Should close an idle session when the application closes (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const session = await openSession(t, app)
    const client = new Http2Client(session)
    await client.until(/:\n\n/)
    probe.complete()
    await client.closed
    const left = once(session, 'close')
    await within(app.close(), 'app.close()')
    await left
    t.equal(session.destroyed, true)
  })

  t.test(`Should close a session that has asked for nothing (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const session = await openSession(t, app)
    const left = once(session, 'close')
    await within(app.close(), 'app.close()')
    await left
    t.equal(session.destroyed, true)
  })

  t.test(`Should end the open streams of all sessions cleanly (${kind})`, async (t) => {
    const reasons: SseCloseReason[] = []
    const app = await buildHttp2App(t, kind, {
      shutdown: { retry: [5000, 5999] },
      onClose: ({ reason }) => { reasons.push(reason) }
    })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const sessions = [await openSession(t, app), await openSession(t, app)]
    const clients = sessions.flatMap((session) => Array.from({ length: 50 }, () => new Http2Client(session)))
    await Promise.all(clients.map((client) => client.until(/retry: 3000\n\n/)))
    const start = performance.now()
    await within(app.close(), 'app.close()')
    const duration = performance.now() - start
    t.ok(duration < 1000, `took ${duration} ms`)
    await Promise.all(clients.map(({ closed }) => closed))
    t.ok(clients.every(({ text }) => /^retry: 3000\n\nretry: 5\d\d\d\n\n$/.test(text)))
    t.ok(clients.every(({ error, stream }) => error === null && stream.rstCode === NGHTTP2_NO_ERROR))
    t.same([probe.unsubscribed, app.sse.size], [100, 0])
    t.same([reasons.length, new Set(reasons)], [100, new Set(['shutdown'])])
  })

  t.test(`Should drop a stream that is not read, after a grace (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const session = await openSession(t, app)
    const [stalled, live] = [new Http2Client(session), new Http2Client(session)]
    await Promise.all([stalled.until(/:\n\n/), live.until(/:\n\n/)])
    stalled.stream.pause()
    for (let i = 0; i < 100; i++) {
      probe.next('x'.repeat(10_000))
      await immediate()
    }
    await within(app.close(), 'app.close()')
    stalled.stream.resume()
    await Promise.all([stalled.closed, live.closed])
    t.equal(live.stream.rstCode, NGHTTP2_NO_ERROR)
    t.equal(live.text.match(/data: /g)?.length, 100)
    await waitUntil(() => app.sse.size === 0)
    t.equal(probe.unsubscribed, 2)
  })
}

t.test('Should close a session that comes while the application closes', async (t) => {
  const app = await buildHttp2App(t, 'TLS')
  await listen(app)
  const socket = connect(portOf(app), '127.0.0.1')
  await once(app.server, 'connection')
  const closing = app.close()
  await waitUntil(() => !app.server.listening)
  const session = connectSession('https://127.0.0.1', {
    createConnection: () => connectTls({ socket, ca: cert, servername: 'localhost', ALPNProtocols: ['h2'] })
  })
  t.teardown(() => session.destroy())
  await once(session, 'close')
  await within(closing, 'app.close()')
  t.pass('closed')
})

t.test('Should not wait for a peer that reads nothing of its connection any more', async (t) => {
  const app = await buildHttp2App(t, 'h2c')
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  // Node's own client cannot leave its socket unread: so HTTP/2 by hand, with windows that never close.
  const socket = connect(portOf(app), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.pause()
  socket.write(Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, [0, 4, 0x7f, 0xff, 0xff, 0xff]),
    frame(8, 0, 0, [0x7f, 0xff, 0, 0]),
    // GET, http, '/', and an authority.
    frame(1, 5, 1, [0x82, 0x86, 0x84, 0x41, 9, ...Buffer.from('localhost')])
  ]))
  await probe.until(({ subscribed }) => subscribed === 1)
  await fillKernel(probe)
  await within(app.close(), 'app.close()')
  await waitUntil(() => app.sse.size === 0)
  t.equal(probe.unsubscribed, 1)
})

t.test('Should have made the process warn of nothing', async (t) => {
  t.same(warnings, [])
})

/** [spec] RFC 9113, 4.1: length, type, flags, stream, payload. */
function frame (type: number, flags: number, stream: number, payload: number[]): Buffer {
  return Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload])
}
