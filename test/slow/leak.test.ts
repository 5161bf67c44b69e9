import t from 'tap'
import { of } from 'rxjs'
import type { FastifyInstance } from 'fastify'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { collectWarnings, listenersOf, measureHeap } from '../fixtures/leaks.ts'
import { immediate, once, waitUntil } from '../fixtures/waits.ts'

t.setTimeout(180_000)

/** How many of each kind of resource keep the process alive. */
function activeResources (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo().toSorted()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** `rounds` clients connect, see their stream open, and leave, a few at a time. */
async function connectAndLeave (app: FastifyInstance, path: string, rounds: number): Promise<void> {
  const lanes = 20
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let i = 0; i < rounds / lanes; i++) {
      const client = new RawClient(app)
      client.get(path)
      await client.until(/:\n\n/)
      client.socket.destroy()
      await once(client.socket, 'close')
    }
  }))
}

t.test('Should keep nothing of 2 000 clients that came and left', async (t) => {
  const warnings = collectWarnings(t)
  const { signal } = new AbortController()
  let open = 0
  const app = await buildApp(t, { signal, onOpen: () => { open++ }, onClose: () => { open-- } })
  const probe = new Probe()
  app.get('/observable', (_request, reply) => reply.sse(probe.source))
  app.get('/factory', (_request, reply) => reply.sse(async ({ signal }) => {
    signal.addEventListener('abort', () => {})
    return probe.source
  }))
  await listen(app)

  const round = async (rounds: number): Promise<void> => {
    await connectAndLeave(app, '/observable', rounds / 2)
    await connectAndLeave(app, '/factory', rounds / 2)
    await probe.until(({ subscribed, unsubscribed }) => subscribed === unsubscribed)
    await waitUntil(() => app.sse.size === 0)
    await immediate()
  }
  // What is made once, and code that gets compiled, is there after this.
  await round(2000)
  const resources = activeResources()
  const { heapUsed: before } = await measureHeap()
  await round(2000)
  const { heapUsed: after } = await measureHeap()

  t.same([probe.subscribed, probe.unsubscribed, app.sse.size, open], [4000, 4000, 0, 0])
  t.same(activeResources(), resources)
  t.ok(after - before < 2 ** 19, `the heap has grown by ${after - before} bytes`)
  t.same(warnings, [])
})

t.test('Should keep no listener on a connection that carries one stream after the other', async (t) => {
  const warnings = collectWarnings(t)
  const app = await buildApp(t, { finite: true, retry: 1 })
  app.get('/plain', () => 'plain')
  app.get('/', (_request, reply) => reply.sse(of(1, 2, 3)))
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  // It is the server's socket that is looked at; the client waits for many things on its own.
  client.socket.setMaxListeners(0)
  const [socket] = await once(app.server, 'connection')
  const ask = async (path: string, end: RegExp): Promise<void> => {
    client.text = ''
    client.get(path)
    await client.until(end)
    await immediate()
  }
  await ask('/plain', /plain$/)
  const listeners = listenersOf(socket)
  const resources = activeResources()
  for (let i = 0; i < 50; i++) await ask('/', /retry: 1\n\n[^]*data: 3\n\n[^]*\r\n0\r\n\r\n$/)
  await ask('/plain', /plain$/)
  t.same(listenersOf(socket), listeners)
  t.same(activeResources(), resources)
  t.equal(app.sse.size, 0)
  t.same(warnings, [])
})

t.test('Should keep no stream of which an onSend hook has failed, and none whose source has', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.addHook('onSend', async (request, _reply, payload) => {
    if (request.url === '/hook' && typeof payload !== 'string') throw new Error('onSend')
  })
  app.get('/hook', (_request, reply) => reply.sse(probe.source))
  app.get('/source', (_request, reply) => reply.sse(() => { throw new Error('source') }))
  for (const path of ['/hook', '/source']) {
    for (let i = 0; i < 20; i++) t.equal((await app.inject(path)).statusCode, 500)
  }
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [20, 20, 0])
})

t.test('Should let the process end while a stream\'s heartbeat is due', async (t) => {
  const app = await buildApp(t, { heartbeat: 60_000 })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const { Timeout: before } = activeResources()
  const client = new RawClient(app)
  client.get('/')
  await client.until(/:\n\n/)
  t.equal(activeResources()['Timeout'], before)
  client.socket.destroy()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
})
