import { Readable } from 'node:stream'
import { from, map } from 'rxjs'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLog, MessageEvent, SseSource } from '../../index.ts'
import { RawClient, buildApp, listen, parse } from '../fixtures/app.ts'
import { logOf, serve, until } from '../fixtures/log-routes.ts'
import { Logs } from '../fixtures/logs.ts'
import { bodyOf, immediate } from '../fixtures/one-route.ts'

const MINE = { filter: ({ data }: MessageEvent) => Number(data) % 2 === 0 }

for (const { name, give, expected } of [
  { name: 'a log', give: (log: EventLog) => log, expected: ['2', '3', '4', '5', '6'] },
  { name: 'a factory of a log', give: (log: EventLog) => () => log, expected: ['2', '3', '4', '5', '6'] },
  { name: 'an async factory of a log', give: (log: EventLog) => async () => log, expected: ['2', '3', '4', '5', '6'] },
  { name: 'a promise of a log', give: (log: EventLog) => Promise.resolve(log), expected: ['2', '3', '4', '5', '6'] },
  {
    name: 'a log of a class of the user\'s',
    give: (log: EventLog): EventLog => ({
      append: (message) => log.append(message),
      after: (id, options) => log.after(id, options)
    }),
    expected: ['2', '3', '4', '5', '6']
  },
  {
    name: 'a log of the user\'s that gives an array',
    give: () => ({ append: async () => '', after: (id?: string) => [String(id?.length), '6'] }) as unknown as EventLog,
    expected: ['14', '6']
  },
  {
    name: 'a part of a log, filtered',
    give: (log: EventLog): SseSource => ({ lastEventId }) => log.after(lastEventId, MINE),
    expected: ['2', '4', '6']
  },
  {
    name: 'a part of a log, mapped',
    give: (log: EventLog): SseSource => ({ lastEventId }) =>
      log.after(lastEventId, { ...MINE, map: ({ data }) => ({ data: [data] }) }),
    expected: ['[2]', '[4]', '[6]'],
    last: '[6]'
  },
  {
    name: 'an async factory of a part of a log',
    give: (log: EventLog): SseSource => async ({ lastEventId }) => log.after(lastEventId, MINE),
    expected: ['2', '4', '6']
  },
  {
    name: 'an Observable of a part of a log',
    give: (log: EventLog): SseSource => ({ lastEventId }) =>
      from(log.after(lastEventId, MINE)).pipe(map((event) => ({ ...event, data: `rx ${event.data}` }))),
    expected: ['rx 2', 'rx 4', 'rx 6']
  },
  {
    name: 'an async generator that reads a log',
    give: (log: EventLog): SseSource => async function * ({ lastEventId }) { yield * log.after(lastEventId, MINE) },
    expected: ['2', '4', '6']
  }
]) {
  t.test(`Should resume ${name}`, async (t) => {
    const { log, ids } = await logOf()
    const { open } = await serve(t, give(log))
    const client = await open(ids[1])
    await immediate()
    await log.append(5)
    const last = await log.append(6)
    t.same(await until(client, expected.at(-1)?.replaceAll(/[[\]]/g, '\\$&')), expected)
    if (expected.length !== 2) t.match(client.text, `id: ${last}\ndata: ${expected.at(-1)}\n\n`)
  })
}

t.test('Should send a client without an id a bookmark, so that it may lose its connection before its first event', async (t) => {
  const { log, ids } = await logOf()
  const { open } = await serve(t, log)
  const client = await open()
  await client.until(/id: .*\n\n/)
  t.equal(bodyOf(client.text).body, `:\n\nid: ${ids[4]}\n\n`)
  client.socket.destroy()
  await log.append(5)
  t.same(await until(await open(ids[4]), 5), ['5'])
})

t.test('Should send a client without an id the bookmark of an empty log', async (t) => {
  const log = new MemoryEventLog()
  const { open } = await serve(t, log)
  const client = await open()
  await client.until(/id: .*-0\n\n/)
  const [, id] = /id: (.*)\n\n/.exec(client.text) ?? []
  await log.append('first')
  t.same(await until(client, 'first'), ['first'])
  t.same(await until(await open(id), 'first'), ['first'])
})

t.test('Should give a gap first, and all that is held, for an id that it does not know', async (t) => {
  const { log, ids } = await logOf()
  const { open } = await serve(t, log)
  for (const [id, shown] of [
    ["'; DROP", "'; DROP"], ['€', null], ['x'.repeat(1025), null], [`${ids[0]}1`, `${ids[0]}1`]
  ] as const) {
    const client = await open(Buffer.from(id).toString('latin1'))
    await until(client, 4)
    const [gap, ...rest] = parse(bodyOf(client.text).body)
    t.match(gap, { event: 'gap', id: undefined })
    t.same(JSON.parse(String(gap?.data)), { lastEventId: shown, oldest: ids[0] })
    t.same(rest.map(({ data }) => data), ['0', '1', '2', '3', '4'])
  }
})

t.test('Should take the id of the query, however long it is', async (t) => {
  const { log, ids } = await logOf()
  const logs = new Logs()
  const server = { logger: logs.logger, http: { maxHeaderSize: 4 * 2 ** 20 } }
  const app = await buildApp(t, { lastEventIdQuery: 'since' }, server)
  app.get('/', (_request, reply) => reply.sse(log))
  await listen(app)
  for (const { query, expected } of [
    { query: `since=${ids[2]}`, expected: [3, 4] },
    { query: `since=${ids[2]}&since=${ids[3]}`, expected: [3, 4] },
    { query: `since=${'x'.repeat(2 ** 20)}`, expected: [{ lastEventId: null, oldest: ids[0] }, 0, 1, 2, 3, 4] },
    { query: `since=${ids[2]}%00`, expected: [{ lastEventId: null, oldest: ids[0] }, 0, 1, 2, 3, 4] },
    { query: 'since=%27;%20DROP', expected: [{ lastEventId: "'; DROP", oldest: ids[0] }, 0, 1, 2, 3, 4] }
  ]) {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get(`/?${query}`)
    t.same((await until(client, 4)).map((data) => JSON.parse(data) as unknown), expected)
  }
})

for (const { name, after } of [
  { name: 'nothing', after: () => {} },
  { name: 'a number', after: () => 1 },
  { name: 'a string', after: () => 'events' },
  { name: 'bytes', after: () => Readable.from(Buffer.from('a'), { objectMode: false }) },
  { name: 'a log', after: () => new MemoryEventLog() }
]) {
  t.test(`Should answer with an error where after() of the user's log gives ${name}`, async (t) => {
    const log = { append: async () => '', after } as unknown as EventLog
    for (const source of [log, () => log, Promise.resolve(log)]) {
      const { app } = await serve(t, source as SseSource)
      const { statusCode, body } = await app.inject('/')
      t.equal(statusCode, 500)
      t.match(JSON.parse(body), { code: 'FST_SSE_INVALID_SOURCE', message: /is not a source of events/ })
    }
  })
}

t.test('Should say which after() it was that gave no source', async (t) => {
  const { app } = await serve(t, { append: async () => '', after: () => {} } as unknown as EventLog)
  const { body } = await app.inject('/')
  t.match(JSON.parse(body), {
    message: 'undefined is not a source of events; after() of an event log returned it; return an async iterable'
  })
})

t.test('Should answer with the error that after() of the user\'s log throws', async (t) => {
  const { app } = await serve(t, { append: async () => '', after () { throw new Error('no such room') } })
  const { statusCode, body } = await app.inject('/')
  t.match({ statusCode, ...JSON.parse(body) as object }, { statusCode: 500, message: 'no such room' })
})

t.test('Should not read a log for HEAD', async (t) => {
  let calls = 0
  const { app } = await serve(t, { append: async () => '', after () { calls++; return new MemoryEventLog().after() } })
  const { statusCode } = await app.inject({ method: 'HEAD', url: '/' })
  t.same({ statusCode, calls }, { statusCode: 200, calls: 0 })
})

t.test('Should wait for an after() of the user\'s log that gives a promise', async (t) => {
  const { log, ids } = await logOf()
  const slow = { append: async () => '', after: async (id?: string) => log.after(id) }
  for (const source of [slow, () => slow, Promise.resolve(slow)]) {
    const { open } = await serve(t, source as SseSource)
    t.same(await until(await open(ids[2]), 4), ['3', '4'])
  }
})

t.test('Should answer with the error of a promise that after() of the user\'s log gave', async (t) => {
  const away = { append: async () => '', after: async () => { throw new Error('database away') } }
  for (const source of [away, () => away, Promise.resolve(away)]) {
    const { app } = await serve(t, source as unknown as SseSource)
    const { statusCode, body } = await app.inject('/')
    t.match({ statusCode, ...JSON.parse(body) as object }, { statusCode: 500, message: 'database away' })
  }
})

t.test('Should not ask for the key of a bookmark', async (t) => {
  const { log } = await logOf()
  const keys: unknown[] = []
  const latest = ({ data }: MessageEvent): unknown => {
    keys.push(data)
    return data
  }
  const { open } = await serve(t, log, { buffer: { overflow: { latest } } })
  const client = await open()
  await log.append(5)
  t.same(await until(client, 5), ['5'])
  t.notOk(keys.includes(undefined))
})
