import { constants } from 'node:http2'
import type { Http2ServerResponse } from 'node:http2'
import { request as requestOverTls } from 'node:https'
import t from 'tap'
import { of } from 'rxjs'
import type { SseCloseReason } from '../../index.ts'
import { Probe, listen, parse, portOf } from '../fixtures/app.ts'
import { Http2Client, KINDS, buildHttp2App, openSession } from '../fixtures/http2.ts'
import { cert } from '../fixtures/tls.ts'
import { whenClosed } from '../fixtures/one-route.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants

const warnings: Error[] = []
process.on('warning', (warning) => warnings.push(warning))

for (const kind of KINDS) {
  t.test(`Should stream over HTTP/2 without the headers that it forbids (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    app.get('/', (_request, reply) => reply.sse(of('one', { data: { two: 2 }, type: 'two', id: 2 })))
    const client = new Http2Client(await openSession(t, app))
    const head = await client.head
    t.match(head, {
      ':status': 200,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no'
    })
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'content-length']) t.notOk(name in head, name)
    await client.closed
    t.same(client.text, ':\n\ndata: one\n\nid: 2\nevent: two\ndata: {"two":2}\n\n')
    t.same([client.error, client.stream.rstCode, app.sse.size], [null, NGHTTP2_NO_ERROR, 0])
  })

  t.test(`Should release the source of the one stream of a session that is cancelled (${kind})`, async (t) => {
    const reasons: SseCloseReason[] = []
    const app = await buildHttp2App(t, kind, { onClose: ({ reason }) => { reasons.push(reason) } })
    const probes = Array.from({ length: 50 }, () => new Probe())
    const closes = new Map<number, Promise<number>>()
    app.get<{ Params: { n: number } }>('/:n', ({ params: { n } }, reply) => {
      const probe = probes[n]
      if (probe === undefined) throw new Error('no such probe')
      reply.sse(probe.source)
      closes.set(Number(n), whenClosed(reply.raw, probe))
      return reply
    })
    const session = await openSession(t, app)
    const clients = probes.map((_, n) => new Http2Client(session, `/${n}`))
    await Promise.all(clients.map((client) => client.until(/:\n\n/)))
    t.equal(app.sse.size, 50)

    clients[7]?.stream.close(NGHTTP2_CANCEL)
    await probes[7]?.until(({ unsubscribed }) => unsubscribed === 1)
    t.equal(await within(Promise.resolve(closes.get(7)), 'the close of the response'), 1)
    for (const [n, probe] of probes.entries()) probe.next(`for ${n};`)
    await Promise.all(clients.map((client, n) => n === 7 || client.until(new RegExp(`data: for ${n};\n\n`))))
    t.same(probes.map(({ unsubscribed }) => unsubscribed), probes.map((_, n) => n === 7 ? 1 : 0))
    t.same([app.sse.size, reasons], [49, ['client']])

    session.destroy()
    await Promise.all(probes.map((probe) => probe.until(({ unsubscribed }) => unsubscribed === 1)))
    await within(Promise.all(closes.values()), 'the close of all responses')
    t.same([app.sse.size, reasons.length], [0, 50])
  })

  t.test(`Should show the client that the source has failed, after the last event (${kind})`, async (t) => {
    const closed = deferred<SseCloseReason>()
    const app = await buildHttp2App(t, kind, {
      onError: () => ({ type: 'failed', data: 'sorry' }),
      onClose: ({ reason }) => closed.resolve(reason)
    })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const client = new Http2Client(await openSession(t, app))
    await client.until(/:\n\n/)
    probe.next('last')
    probe.error(new Error('secret'))
    await client.closed
    t.equal(client.text, ':\n\ndata: last\n\nevent: failed\ndata: sorry\n\n')
    t.equal(client.error?.code, 'ERR_HTTP2_STREAM_ERROR')
    t.equal(client.stream.rstCode, NGHTTP2_INTERNAL_ERROR)
    t.equal(await within(closed.promise, 'onClose'), 'error')
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
  })

  t.test(`Should break the stream of a source that has failed after 200 kB that waited (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind, { onError: () => 'sorry' })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const client = new Http2Client(await openSession(t, app))
    await client.until(/:\n\n/)
    client.stream.pause()
    for (let i = 0; i < 200; i++) {
      probe.next(`${i} ${'x'.repeat(1000)}`)
      if (i < 100) await immediate()
    }
    probe.error(new Error('secret'))
    t.same([probe.unsubscribed, app.sse.size], [1, 1])
    await immediate()
    client.stream.resume()
    await client.closed
    const events = parse(client.text).map(({ data }) => data.split(' ')[0])
    t.same(events, [...Array.from({ length: 200 }, (_, i) => String(i)), 'sorry'])
    t.equal(client.stream.rstCode, NGHTTP2_INTERNAL_ERROR)
    t.equal(app.sse.size, 0)
  })

  t.test(`Should not break a stream of which the client has the end still to read (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind, { onError: () => 'sorry' })
    const probe = new Probe()
    const { promise: raw, resolve } = deferred<Http2ServerResponse>()
    app.get('/', (_request, reply) => {
      resolve(reply.raw as unknown as Http2ServerResponse)
      return reply.sse(probe.source)
    })
    const client = new Http2Client(await openSession(t, app))
    await client.until(/:\n\n/)
    client.stream.pause()
    const { stream } = await within(raw, 'the call of the handler')
    // The client's window is full, and the response takes the rest: nothing waits in the stream itself.
    let count = 0
    await waitUntil(() => {
      if (stream.writableLength > 0) return true
      probe.next(`${count++} ${'x'.repeat(1000)}`)
      return false
    })
    probe.error(new Error('secret'))
    // Longer than any grace that a reset may have been given.
    await Promise.race([client.closed, once(AbortSignal.timeout(300), 'abort')])
    t.equal(client.stream.closed, false)
    client.stream.resume()
    await client.closed
    const events = parse(client.text).map(({ data }) => data.split(' ')[0])
    t.same(events, [...Array.from({ length: count }, (_, i) => String(i)), 'sorry'])
    t.equal(client.stream.rstCode, NGHTTP2_INTERNAL_ERROR)
  })

  t.test(`Should hold what a client does not read, and not the session's other streams (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const [slow, quick] = [new Probe(), new Probe()]
    const { promise: raw, resolve } = deferred<Http2ServerResponse>()
    app.get('/slow', (_request, reply) => {
      resolve(reply.raw as unknown as Http2ServerResponse)
      return reply.sse(slow.source)
    })
    app.get('/quick', (_request, reply) => reply.sse(quick.source))
    const session = await openSession(t, app)
    const stalled = new Http2Client(session, '/slow')
    const live = new Http2Client(session, '/quick')
    await Promise.all([stalled.until(/:\n\n/), live.until(/:\n\n/)])
    stalled.stream.pause()
    for (let i = 0; i < 400; i++) {
      slow.next(`${i} ${'x'.repeat(10_000)}`)
      quick.next(`${i};`)
      await immediate()
    }
    await live.until(/data: 399;\n\n/)
    const { writableLength } = (await within(raw, 'the call of the handler')).stream
    t.ok(writableLength > 0 && writableLength < 100_000, `${writableLength} bytes wait in Node`)
    t.same([slow.unsubscribed, app.sse.size], [0, 2])

    stalled.stream.resume()
    await stalled.until(/data: 399 x{10000}\n\n$/)
    t.same(parse(stalled.text).map(({ data }) => Number(data.split(' ')[0])), Array.from({ length: 400 }, (_, i) => i))
    stalled.stream.pause()
    for (let i = 0; i < 100; i++) slow.next('x'.repeat(10_000))
    stalled.stream.close(NGHTTP2_CANCEL)
    await slow.until(({ unsubscribed }) => unsubscribed === 1)
    await immediate()
    t.same([quick.unsubscribed, app.sse.size], [0, 1])
  })

  t.test(`Should tell a client that has seen the end not to come back (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind, { finite: true })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const session = await openSession(t, app)
    const first = new Http2Client(session)
    await first.until(/:\n\n/)
    probe.complete()
    await first.closed
    const [end] = parse(first.text)
    t.match(end, { event: 'end', data: '' })
    t.equal(first.stream.rstCode, NGHTTP2_NO_ERROR)

    const second = new Http2Client(session, '/', { 'last-event-id': String(end?.id) })
    t.equal((await second.head)[':status'], 204)
    await second.closed
    t.same([second.text, second.stream.rstCode], ['', NGHTTP2_NO_ERROR])
    t.same([probe.subscribed, app.sse.size], [1, 0])
  })

  t.test(`Should answer HEAD with the head alone (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    const client = new Http2Client(await openSession(t, app), '/', { ':method': 'HEAD' })
    t.match(await client.head, { ':status': 200, 'content-type': 'text/event-stream' })
    await client.closed
    t.same([client.text, client.stream.rstCode, probe.subscribed, app.sse.size], ['', NGHTTP2_NO_ERROR, 0, 0])
  })

  t.test(`Should never subscribe for a stream that is cancelled before the call (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const probe = new Probe()
    const { promise: called, resolve } = deferred<void>()
    app.get('/', async (_request, reply) => {
      const { stream } = reply.raw as unknown as Http2ServerResponse
      if (!stream.closed) await once(stream, 'close')
      reply.sse(probe.source)
      resolve()
      return reply
    })
    const session = await openSession(t, app)
    const client = new Http2Client(session)
    await once(app.server, 'request')
    client.stream.close(NGHTTP2_CANCEL)
    await within(called, 'the call of the handler')
    await immediate()
    t.same([probe.subscribed, app.sse.size], [0, 0])
  })
}

t.test('Should stream to a client of HTTP/1.1 on the same server', async (t) => {
  const app = await buildHttp2App(t, 'TLS')
  const probe = new Probe()
  const { promise: atClose, resolve } = deferred<number>()
  app.get('/', (_request, reply) => {
    reply.sse(probe.source)
    void whenClosed(reply.raw, probe).then(resolve)
    return reply
  })
  await listen(app)
  const request = requestOverTls({ host: '127.0.0.1', port: portOf(app), ca: cert, agent: false }).end()
  const [response] = await once(request, 'response')
  t.equal(response.httpVersion, '1.1')
  probe.next('hello')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    if (text.includes('hello')) break
  }
  t.equal(await within(atClose, 'the close of the response'), 1)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
})

t.test('Should have made the process warn of nothing', async (t) => {
  t.same(warnings, [])
})
