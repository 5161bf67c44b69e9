import { AsyncLocalStorage } from 'node:async_hooks'
import type { Socket } from 'node:net'
import { EventSource } from 'eventsource'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { RawClient, buildApp, listen } from '../fixtures/app.ts'
import { EventSourceLog, observe } from '../fixtures/event-source.ts'
import { logOf, serve, until } from '../fixtures/log-routes.ts'
import { immediate } from '../fixtures/one-route.ts'

t.test('Should fail the stream whose filter throws, and no other', async (t) => {
  const { log, ids } = await logOf()
  const { app, logs, open } = await serve(t, log)
  let calls = 0
  const filter = (): boolean => {
    if (++calls > 1) throw new Error('mine')
    return true
  }
  const bad = await buildApp(t, {}, { logger: logs.logger })
  bad.get('/', (_request, reply) => reply.sse(({ lastEventId }) => log.after(lastEventId, { filter })))
  await listen(bad)
  const good = await open(ids[4])
  const client = new RawClient(bad)
  client.get('/')
  await client.until(/id: .*\n\n/)
  await t.resolves(log.append(5))
  await until(client, 5)
  await t.resolves(log.append(6), 'append() does not fail with a reader')
  const line = await logs.until(({ msg }) => msg === 'event stream failed')
  t.match(line, { err: { message: 'mine' }, sse: { reason: 'error' } })
  t.same(await until(good, 6), ['5', '6'])
  await log.append(7)
  t.equal(calls, 2, 'the stream that failed is let go of')
  t.same([app.sse.size, logs.alarms.length], [1, 1])
})

t.test('Should run filter, map and gap in the context of their own stream, whoever appends', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const seen = new Set<string>()
  const note = (what: string): void => { seen.add(`${what} of ${storage.getStore()}`) }
  const log = new MemoryEventLog<number>({ gap: () => { note('gap'); return 'gap' } })
  const app = await buildApp(t)
  app.addHook('onRequest', (request, _reply, done) => { storage.run(request.url, done) })
  app.get('/append', async () => log.append(1))
  app.get('/:name', (_request, reply) => reply.sse(({ lastEventId }) => log.after(lastEventId, {
    filter: () => { note('filter'); return true },
    map: ({ data }) => { note('map'); return { data } }
  })))
  await listen(app)
  const clients = ['/a', '/b'].map((path) => {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get(path, 'Last-Event-ID: unknown')
    return client
  })
  for (const client of clients) await until(client, 'gap')
  await app.inject('/append')
  for (const client of clients) await until(client, 1)
  t.same([...seen].toSorted(), ['filter of /a', 'filter of /b', 'gap of /a', 'gap of /b', 'map of /a', 'map of /b'])
})

t.test('Should give a serializer parsed data and no gap, and keep the frames of two serializers apart', async (t) => {
  const log = new MemoryEventLog<{ n: number } | string>()
  const id = await log.append({ data: { n: 0 } })
  const app = await buildApp(t)
  const given: unknown[] = []
  const serializer = (data: unknown): string => { given.push(data); return `n=${(data as { n: number }).n}` }
  app.get('/json', (_request, reply) => reply.sse(log))
  app.get('/own', (_request, reply) => reply.sse(log, { serializer }))
  await listen(app)
  const clients = ['/json', '/own', '/json', '/own'].map((path) => {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get(path, `Last-Event-ID: ${path === '/json' ? id : 'unknown'}`)
    return client
  })
  for (const client of clients) await client.until(/:\n\n/)
  await log.append({ data: { n: 1 } })
  await log.append('text')
  const [json, own, ...rest] = await Promise.all(clients.map((client) => until(client, 'text')))
  t.same(json, ['{"n":1}', 'text'])
  t.same(own?.slice(1), ['n=0', 'n=1', 'text'])
  t.match(own?.[0], /^\{"lastEventId":"unknown"/)
  t.same(rest, [json, own])
  t.ok(given.every((data) => typeof data === 'object'))
})

t.test('Should use the serializer of the route\'s schema', async (t) => {
  const log = new MemoryEventLog<{ n: number, secret?: string } | string>({ from: 'start' })
  await log.append({ data: { n: 1, secret: 's' } })
  await log.append('text')
  const app = await buildApp(t)
  const schema = { type: 'object', properties: { n: { type: 'number' } } }
  const response = { 200: { content: { 'text/event-stream': { schema } } } }
  app.get('/', { schema: { response } }, (_request, reply) => {
    const serializer = reply.getSerializationFunction('200', 'text/event-stream')
    return reply.sse(log, { serializer: (data) => String(serializer?.(data as Record<string, unknown>)) })
  })
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  client.get('/')
  t.same(await until(client, 'text'), ['{"n":1}', 'text'])
})

t.test('Should release a client that leaves, whether it waits, replays or reads nothing', async (t) => {
  const log = new MemoryEventLog<string>({ from: 'start', maxBytes: 64 * 2 ** 20 })
  let calls = 0
  const filter = (): boolean => { calls++; return true }
  const { app, open } = await serve(t, ({ lastEventId }) => log.after(lastEventId, { filter }))
  const leave = async (client: RawClient): Promise<void> => {
    client.socket.destroy()
    while (app.sse.size > 0) await immediate()
    const before = calls
    await log.append('after')
    t.equal(calls, before)
  }
  const waiting = await open()
  await log.append('x')
  await until(waiting, 'x')
  await leave(waiting)
  for (let i = 0; i < 40; i++) await log.append('x'.repeat(2 ** 20))
  const replaying = await open()
  await leave(replaying)
  const stalled = await open()
  stalled.socket.pause()
  for (let before = -1; before !== calls;) {
    before = calls
    for (let i = 0; i < 20; i++) await immediate()
  }
  t.ok(calls < 100, 'it was not read up to the end')
  await leave(stalled)
})

t.test('Should give an EventSource that is cut off again and again all events, each once and in order', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  const app = await buildApp(t)
  const sockets = new Set<Socket>()
  const asked: Array<string | undefined> = []
  app.get('/', (request, reply) => {
    sockets.add(request.raw.socket)
    asked.push(request.lastEventId)
    return reply.sse(log, { retry: 0 })
  })
  const source = new EventSource(await listen(app))
  t.teardown(() => source.close())
  const sightings = new EventSourceLog()
  observe(source, ['gap'], sightings.add)
  const total = 300
  for (let n = 0; n < total; n++) {
    await log.append(n)
    if (n % 30 === 7) {
      // Some connections are cut with events under way, some when all have arrived, and some before the first.
      if (n % 60 === 7) await sightings.until(({ events }) => events.length > n)
      else await immediate()
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    }
    if (n % 100 === 99) await sightings.until(({ events }) => events.length > n)
  }
  await sightings.until(({ events }) => events.length >= total)
  t.same(sightings.events, Array.from({ length: total }, (_item, n) => ['message', String(n)]))
  t.ok(asked.length > 4 && asked.some((id) => id !== undefined), `${asked.length} requests`)
})
