import { get } from 'node:https'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { NEVER } from 'rxjs'
import sse from '../../index.ts'
import type { SseCloseReason, SseOptions, SseSource } from '../../index.ts'
import { Probe, RawClient, buildApp, closeAtEnd, listen } from '../fixtures/app.ts'
import { bodyOf, openOneRoute } from '../fixtures/one-route.ts'
import { KERNEL, fillKernel } from '../fixtures/slow.ts'
import { cert, key } from '../fixtures/tls.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

/** Closes the application; gives how many milliseconds that took. */
async function timeToClose (app: FastifyInstance): Promise<number> {
  const start = performance.now()
  await within(app.close(), 'app.close()')
  return performance.now() - start
}

/** `count` clients, each with an open stream. */
async function openStreams (t: Test, app: FastifyInstance, count: number): Promise<RawClient[]> {
  const clients = Array.from({ length: count }, () => new RawClient(app))
  t.teardown(() => { for (const { socket } of clients) socket.destroy() })
  for (const client of clients) client.get('/')
  await Promise.all(clients.map((client) => client.until(/\r\n\r\n[^]*\n\n/)))
  return clients
}

/** What a client receives until the server has closed its connection: all of it, with the end of the body. */
async function received (t: Test, client: RawClient): Promise<string> {
  if (!client.socket.closed) await once(client.socket, 'close')
  t.match(client.text, /\r\n0\r\n\r\n$/, 'ends as a body should')
  t.equal(client.socket.errored, null)
  return client.text
}

t.test('Should close within a second with 1 000 open streams, whose clients see a clean end', async (t) => {
  const reasons: SseCloseReason[] = []
  const onClose: SseOptions['onClose'] = ({ reason }) => { reasons.push(reason) }
  const app = await buildApp(t, { finite: true, onClose }, { forceCloseConnections: 'idle' })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const clients = await openStreams(t, app, 1000)
  t.equal(app.sse.size, 1000)

  const duration = await timeToClose(app)
  t.ok(duration < 1000, `took ${duration} ms`)
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1000, 1000, 0])
  t.same([reasons.length, new Set(reasons)], [1000, new Set(['shutdown'])])
  const ends = await Promise.all(clients.map(async ({ socket, text }) => {
    if (!socket.closed) await once(socket, 'close')
    return socket.errored === null && !text.includes('event: end')
  }))
  t.ok(ends.every(Boolean), 'no error, and nothing that keeps the client from coming back')
  t.equal(clients.filter(({ text }) => text.endsWith('\r\n0\r\n\r\n')).length, 1000)
})

for (const forceCloseConnections of [true, false] as const) {
  t.test(`Should end streams with forceCloseConnections: ${forceCloseConnections}`, async (t) => {
    const app = await buildApp(t, {}, { forceCloseConnections })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    await listen(app)
    const clients = await openStreams(t, app, 10)
    await within(app.close(), 'app.close()')
    for (const client of clients) await received(t, client)
    t.same([probe.unsubscribed, app.sse.size], [10, 0])
  })
}

t.test('Should drop a client that has stopped reading, after a grace', async (t) => {
  const reasons: SseCloseReason[] = []
  const app = await buildApp(t, { buffer: { maxBytes: 64 * 2 ** 20 }, onClose: ({ reason }) => { reasons.push(reason) } }, { forceCloseConnections: false })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const [stalled, live] = await openStreams(t, app, 2) as [RawClient, RawClient]
  stalled.socket.pause()
  await fillKernel(probe)
  await waitUntil(() => live.socket.bytesRead >= KERNEL)

  const closing = timeToClose(app)
  await received(t, live)
  t.same([probe.unsubscribed, app.sse.size], [2, 1])
  const duration = await within(closing, 'app.close()')
  t.ok(duration < 5000, `took ${duration} ms`)
  // Node says that a server is closed before it says so of its last socket.
  await waitUntil(() => app.sse.size === 0)
  t.same(reasons, ['shutdown', 'shutdown'])
})

t.test('Should let a slow client read to the end, and close its connection then', async (t) => {
  const { app, client, probe, raw, reasons } = await openOneRoute(t, { server: { forceCloseConnections: false } })
  client.get('/')
  await client.until(/:\n\n/)
  client.socket.pause()
  const { socket } = await raw()
  // Until Node has something to hold for three turns.
  let turns = 0
  await waitUntil(() => {
    turns = socket === null || socket.writableLength === 0 ? 0 : turns + 1
    if (turns === 0) probe.next('x'.repeat(2 ** 18))
    return turns === 3
  })
  const closing = app.close()
  await waitUntil(() => !app.server.listening)
  t.same([probe.unsubscribed, app.sse.size], [1, 1])
  client.socket.resume()
  t.match(bodyOf(await received(t, client)), { isEnded: true })
  await within(closing, 'app.close()')
  t.same([app.sse.size, reasons], [0, ['shutdown']])
})

t.test('Should end streams that wait for an event, a source, or a hook', async (t) => {
  const app = await buildApp(t, { open: 'first-event' }, { forceCloseConnections: false })
  const probe = new Probe()
  const hook = deferred<void>()
  const signals: AbortSignal[] = []
  app.addHook('onSend', ({ url }) => url === '/hook' ? hook.promise : Promise.resolve())
  app.get('/event', (_request, reply) => reply.sse(probe.source))
  app.get('/hook', (_request, reply) => reply.sse(probe.source, { open: 'immediately' }))
  app.get('/source', (_request, reply) => reply.sse(({ signal }) => {
    signals.push(signal)
    return new Promise<SseSource & PromiseLike<never>>(() => {})
  }))
  await listen(app)
  const clients = ['/event', '/hook', '/source'].map((path) => {
    const client = new RawClient(app)
    client.get(path)
    return client
  })
  await probe.until(({ subscribed }) => subscribed === 2)
  await waitUntil(() => signals.length > 0)
  await immediate()
  const closing = app.close()
  await probe.until(({ unsubscribed }) => unsubscribed === 2)
  t.same(signals.map(({ aborted }) => aborted), [true])
  hook.resolve()
  await within(closing, 'app.close()')
  for (const client of clients) t.match(await received(t, client), /^HTTP\/1.1 200 OK\r\n[^]*:\n\n\r\n0\r\n\r\n$/)
  t.equal(app.sse.size, 0)
})

t.test('Should run after the application\'s hooks, and end what slips in', async (t) => {
  const app = Fastify({ return503OnClosing: false, forceCloseConnections: false })
  closeAtEnd(t, app)
  const probe = new Probe()
  const hooks: string[] = []
  const slow = deferred<void>()
  const entered = deferred<void>()
  app.addHook('preClose', async () => {
    hooks.push(`before ${app.sse.size}`)
    entered.resolve()
    await slow.promise
  })
  await app.register(sse)
  app.addHook('preClose', async () => {
    hooks.push(`after ${app.sse.size}`)
    probe.next('bye')
  })
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const [early] = await openStreams(t, app, 1) as [RawClient]
  const closing = app.close()
  await within(entered.promise, 'the preClose hook')
  const [late] = await openStreams(t, app, 1) as [RawClient]
  t.equal(app.sse.size, 2)
  slow.resolve()
  await within(closing, 'app.close()')
  for (const client of [early, late]) t.match(await received(t, client), /:\n\n[^]*data: bye\n\n\r\n0\r\n\r\n$/)
  t.same(hooks, ['before 1', 'after 2'])
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [2, 2, 0])
})

t.test('Should end at once a stream that slips in when all others have ended', async (t) => {
  const server = { return503OnClosing: false, forceCloseConnections: false }
  const app = await buildApp(t, { shutdown: { retry: [10, 20] } }, server)
  const probe = new Probe()
  const slow = deferred<string>()
  app.get('/slow', () => slow.promise)
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  // An answer that is under way keeps the connection open.
  client.get('/slow')
  await once(app.server, 'request')
  const closing = app.close()
  await waitUntil(() => !app.server.listening)
  client.get('/')
  await once(app.server, 'request')
  slow.resolve('slow')
  const text = await received(t, client)
  t.match(text, /\r\n\r\nslowHTTP\/1.1 200 OK\r\n[^]*retry: 3000\n\n[^]*retry: (?:1\d|20)\n\n\r\n0\r\n\r\n$/)
  await within(closing, 'app.close()')
  t.same([probe.subscribed, app.sse.size], [0, 0])
})

t.test('Should give each client its own time to come back, and each opening the normal one', async (t) => {
  for (const [retry, normal] of [[undefined, 3000], [1234, 1234]] as const) {
    const app = await buildApp(t, { retry, shutdown: { retry: [10_000, 99_999] } }, { forceCloseConnections: false })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source))
    await listen(app)
    const clients = await openStreams(t, app, 40)
    await within(app.close(), 'app.close()')
    const times = await Promise.all(clients.map(async (client) => {
      const matches = (await received(t, client)).matchAll(/retry: (\d+)\n\n/g)
      const [first, last, ...others] = Array.from(matches, (match) => Number(match[1]))
      t.same([first, others], [normal, []])
      return last ?? Number.NaN
    }))
    t.ok(times.every((time) => time >= 10_000 && time <= 99_999), times.join())
    t.ok(new Set(times).size > 30, 'they differ')
  }
})

t.test('Should close where it is registered in scopes of their own', async (t) => {
  const app = Fastify({ forceCloseConnections: false })
  closeAtEnd(t, app)
  const probe = new Probe()
  const scopes: FastifyInstance[] = []
  const size = (): number => scopes.reduce((sum, scope) => sum + scope.sse.size, 0)
  for (const prefix of ['/a', '/b']) {
    await app.register(async (scope) => {
      await scope.register(sse)
      scopes.push(scope)
      scope.get('/', (_request, reply) => reply.sse(probe.source))
    }, { prefix })
  }
  await listen(app)
  const clients = ['/a', '/b'].map((path) => {
    const client = new RawClient(app)
    client.get(path)
    return client
  })
  await Promise.all(clients.map((client) => client.until(/:\n\n/)))
  t.equal(size(), 2)
  await within(app.close(), 'app.close()')
  for (const client of clients) await received(t, client)
  t.same([probe.unsubscribed, size()], [2, 0])
})

t.test('Should give every client on TLS a whole end, whatever Node does with idle connections', async (t) => {
  const app = await buildApp(t, { shutdown: { retry: [7, 7] } }, { forceCloseConnections: false, https: { cert, key } } as FastifyServerOptions)
  app.get('/', (_request, reply) => reply.sse(NEVER))
  const url = await listen(app)
  const bodies = Array.from({ length: 5 }, () => {
    const opened = deferred<void>()
    const body = new Promise<string>((resolve, reject) => {
      get(url, { ca: cert, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => { text += part; opened.resolve() })
        response.on('end', () => resolve(text)).on('error', reject)
      }).on('error', reject)
    })
    body.catch(() => {})
    return { opened: within(opened.promise, 'the first bytes'), body: within(body, 'the end') }
  })
  await Promise.all(bodies.map(({ opened }) => opened))
  await within(app.close(), 'app.close()')
  for (const { body } of bodies) t.match(await body, /retry: 7\n\n?$/)
})
