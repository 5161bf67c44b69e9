import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { mock } from 'node:test'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { of, throwError } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { Probe, RawClient, buildApp, listen, portOf } from '../fixtures/app.ts'
import { deferred, once, within } from '../fixtures/waits.ts'

/** Of a socket, in milliseconds. Node's timers of sockets cannot be mocked. */
const TIMEOUT = 100

function raw (t: Test, app: FastifyInstance): RawClient {
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  return client
}

/** Waits until the server has cut a connection that came after those under test, so that theirs was due before. */
async function waitForTimeout (t: Test, app: FastifyInstance): Promise<void> {
  await once(raw(t, app).socket, 'close')
}

for (const [open, emitsFirst] of [['immediately', true], ['immediately', false], ['first-event', true], ['first-event', false]] as const) {
  t.test(`Should outlive handlerTimeout, open: '${open}', ${emitsFirst ? 'with' : 'without'} an event before`, async (t) => {
    const app = await buildApp(t, { heartbeat: false }, { handlerTimeout: 1000 })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source, { open }))
    app.get('/slow', () => new Promise(() => {}))
    await listen(app)
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const client = raw(t, app)
    client.get('/')
    await probe.until(({ subscribed }) => subscribed === 1)
    if (emitsFirst) {
      probe.next('first')
      await client.until(/first/)
    }
    const slow = raw(t, app)
    slow.get('/slow')
    const { promise: asked, resolve } = deferred<void>()
    app.server.once('request', () => resolve())
    await within(asked, 'a request')
    mock.timers.tick(60_000)
    await slow.until(/^HTTP\/1.1 503 .*FST_ERR_HANDLER_TIMEOUT/s)
    t.equal(probe.unsubscribed, 0)
    probe.next('after it')
    await client.until(/^HTTP\/1.1 200 .*after it/s)
    t.equal(app.sse.size, 1)
    probe.complete()
    await client.until(/\r\n0\r\n\r\n$/)
  })

  t.test(`Should outlive connectionTimeout, open: '${open}', ${emitsFirst ? 'with' : 'without'} an event before`, async (t) => {
    const app = await buildApp(t, { heartbeat: false }, { connectionTimeout: TIMEOUT })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source, { open }))
    await listen(app)
    const client = raw(t, app)
    client.get('/')
    await probe.until(({ subscribed }) => subscribed === 1)
    if (emitsFirst) {
      probe.next('first')
      await client.until(/first/)
    }
    await waitForTimeout(t, app)
    t.equal(probe.unsubscribed, 0)
    probe.next('after it')
    await client.until(/after it/)
    probe.complete()
    await client.until(/\r\n0\r\n\r\n$/)
  })
}

// Node sets the timeout anew behind a keep-alive timeout, and leaves it as it is without one.
for (const keepAliveTimeout of [72_000, 0]) {
  for (const [ending, source, status] of [
    ['completes', of('a'), 200], ['fails at once', throwError(() => new Error('boom')), 500]
  ] as const) {
    t.test(`Should give the socket its timeout back behind a stream that ${ending}, keepAliveTimeout: ${keepAliveTimeout}`, async (t) => {
      const app = await buildApp(t, {}, { connectionTimeout: TIMEOUT })
      app.server.keepAliveTimeout = keepAliveTimeout
      app.get('/', (_request, reply) => reply.sse(source))
      const { promise: asked, resolve } = deferred<FastifyRequest>()
      app.get('/slow', (request) => {
        resolve(request)
        return new Promise(() => {})
      })
      await listen(app)
      const client = raw(t, app)
      client.get('/')
      await client.until(new RegExp(`^HTTP/1.1 ${status} .*\r\n\r\n.*(\r\n0\r\n\r\n|})$`, 's'))
      client.get('/slow')
      t.equal((await within(asked, 'a request')).raw.socket.timeout, TIMEOUT)
    })
  }
}

t.test('Should leave a request behind a stream to connectionTimeout', async (t) => {
  const app = await buildApp(t, {}, { connectionTimeout: TIMEOUT })
  app.get('/', (_request, reply) => reply.sse(of('a')))
  app.get('/slow', () => new Promise(() => {}))
  await listen(app)
  const client = raw(t, app)
  client.get('/')
  await client.until(/\r\n0\r\n\r\n$/)
  const { length } = client.text
  client.get('/slow')
  await once(client.socket, 'close')
  t.equal(client.text.length, length)
})

t.test('Should give the socket its timeout back behind a failing onSend hook', async (t) => {
  const app = await buildApp(t, {}, { connectionTimeout: TIMEOUT })
  app.server.keepAliveTimeout = 0
  const { promise: asked, resolve } = deferred<FastifyRequest>()
  app.get('/', {
    onSend: async (_request, _reply, payload) => { if (typeof payload !== 'string') throw new Error('onSend') }
  }, (_request, reply) => reply.sse(of('a')))
  app.get('/slow', (request) => {
    resolve(request)
    return new Promise(() => {})
  })
  await listen(app)
  const client = raw(t, app)
  client.get('/')
  await client.until(/^HTTP\/1.1 500 .*}$/s)
  client.get('/slow')
  t.equal((await within(asked, 'a request')).raw.socket.timeout, TIMEOUT)
  client.socket.destroy()
})

t.test('Should outlive connectionTimeout behind another stream of the same connection', async (t) => {
  const app = await buildApp(t, { heartbeat: false }, { connectionTimeout: TIMEOUT })
  const first = new Probe()
  const second = new Probe()
  app.get('/first', (_request, reply) => reply.sse(first.source))
  app.get('/second', (_request, reply) => reply.sse(second.source))
  await listen(app)
  const client = raw(t, app)
  client.get('/first')
  client.get('/second')
  await first.until(({ subscribed }) => subscribed === 1)
  first.next('from the first')
  first.complete()
  await second.until(({ subscribed }) => subscribed === 1)
  second.next('from the second')
  await client.until(/from the first.*from the second/s)
  await waitForTimeout(t, app)
  t.equal(second.unsubscribed, 0)
  second.next('after it')
  await client.until(/after it/)
})

for (const connectionTimeout of [0, TIMEOUT]) {
  t.test(`Should outlive http2SessionTimeout with connectionTimeout ${connectionTimeout}`, async (t) => {
    const server = { http2: true, connectionTimeout, http2SessionTimeout: TIMEOUT } as never
    const app = await buildApp(t, { heartbeat: false }, server)
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    await listen(app)
    const stream = openSession(t, app).request({ ':path': '/' })
    stream.setEncoding('utf8')
    stream.on('error', () => {})
    await once(stream, 'response')
    // An idle session that came later is closed.
    await once(openSession(t, app), 'close')
    t.equal(probe.unsubscribed, 0)
    probe.next('after it')
    let text = ''
    for await (const chunk of stream) {
      text += chunk
      if (text.includes('after it')) break
    }
    t.match(text, 'data: after it\n\n')
  })
}

function openSession (t: Test, app: FastifyInstance): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${portOf(app)}`)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}
