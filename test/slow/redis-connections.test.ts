import { fork } from 'node:child_process'
import { on } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { buildApp, listen, portOf } from '../fixtures/app.ts'
import { RedisServer, RedisWatch } from '../fixtures/redis.ts'
import type { Client } from '../fixtures/redis.ts'
import { PullClient, RecordingLogger, numbers } from '../fixtures/log-pull-client.ts'
import { isMissing } from '../fixtures/tool.ts'
import { waitUntil, within } from '../fixtures/waits.ts'
import { RedisEventLog } from '../../lib/event-log/redis/event-log.ts'

t.setTimeout(180_000)

/** How long a read without an event waits, in milliseconds. */
const BLOCK = 5_000

t.test('The connections of logs on Redis', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should be two for 10 000 clients of one key, and one read for each event', { timeout: 110_000 }, async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: 'log' })
    const app = await buildApp(t, { heartbeat: false })
    app.get('/', (_request, reply) => reply.sse(log))
    await listen(app)
    const file = fileURLToPath(new URL('../fixtures/log-sockets.js', import.meta.url))
    const clients = fork(file, [String(portOf(app)), '10000'], { execArgv: [] })
    t.teardown(() => clients.kill('SIGKILL'))
    const counts = on(clients, 'message')
    t.same((await within(counts.next(), '10 000 open streams', 100_000)).value, ['open', undefined])
    t.equal(app.sse.size, 10_000)
    await watch.untilBlocked()
    await watch.forget()
    const start = performance.now()
    for (let i = 1; i <= 10; i++) {
      await log.append(i)
      t.equal((await within(counts.next(), `event ${i} at all clients`)).value[0], i)
    }
    const idle = Math.ceil((performance.now() - start) / BLOCK)
    const reads = await watch.calls('xread')
    t.ok(reads >= 10 && reads <= 10 + idle, `${reads} reads`)
    t.equal(await watch.calls('xrange') + await watch.calls('xrevrange'), 0)
    t.equal(await watch.connections(), 2)
  })

  t.test('Should be two for many keys, of which none is read that nobody listens to', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const writer = await redis.connect(t)
    const logs = numbers(0, 200).map((number) => new RedisEventLog<number>({ client, key: `room ${number}` }))
    const others = numbers(0, 200).map((number) => new RedisEventLog<number>({ client: writer, key: `room ${number}` }))
    const readers = logs.flatMap((log) => numbers(0, 5).map(() => new PullClient(t, log.after())))
    const first = readers.map((reader) => reader.take(1))
    await watch.untilBlocked()
    await Promise.all(others.map((log, number) => log.append(number)))
    t.same((await Promise.all(first)).flat(), numbers(0, 1_000).map((index) => Math.trunc(index / 5)))
    t.equal(await watch.connections(), 3, 'and the one that appends')
    const start = performance.now()
    const before = await watch.calls('xread')
    await Promise.all(readers.slice(5).map((reader) => reader.leave()))
    // The read that waited for all the keys has ended, and another waits.
    await waitUntil(async () => await watch.calls('xread') > before && await watch.blocked() > 0)
    await watch.forget()
    await Promise.all(others.slice(1).map((log) => log.append(0)))
    const reads = await watch.calls('xread')
    const idle = Math.floor((performance.now() - start) / BLOCK)
    t.ok(reads <= idle, `${reads} reads, of which ${idle} may have ended without an event`)
    await others[0]?.append(1)
    t.same(await readers[0]?.take(1), [1])
    await Promise.all(readers.map((reader) => reader.leave()))
    await waitUntil(async () => await watch.blocked() === 0)
    await watch.forget()
    await Promise.all(others.map((log) => log.append(0)))
    t.equal(await watch.calls('xread'), 0)
  })

  t.test('Should read a key that is added at once, and its control key should have an end', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const reader = new PullClient(t, new RedisEventLog({ client, key: 'first' }).after())
    const waiting = reader.take(1)
    await watch.untilBlocked()
    const delays: number[] = []
    for (const number of numbers(0, 20)) {
      const log = new RedisEventLog({ client, key: `more ${number}`, from: 'start' })
      const reader = new PullClient(t, log.after())
      const start = performance.now()
      const taken = reader.take(2)
      await log.append('a')
      await log.append('b')
      t.same(await taken, ['a', 'b'])
      delays.push(performance.now() - start)
      await reader.leave()
    }
    const median = delays.toSorted((a, b) => a - b)[10] ?? Infinity
    t.ok(median < 500, `after ${median.toFixed(1)} ms, where a read waits for 5 s`)
    const [key = '', ...rest] = await client.keys('fastify-rxjs-sse:*')
    t.same(rest, [])
    t.equal(await client.xLen(key), 1)
    const life = await client.pTTL(key)
    t.ok(life > 0 && life <= 86_400_000, `${life} ms`)
    await new RedisEventLog({ client, key: 'first' }).append('c')
    t.same(await waiting, ['c'])
  })

  t.test('Should share one read between logs of one key, each with its own bounds', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const logs = [10, 1_000].map((maxEvents) => new RedisEventLog({ client, key: 'log', maxEvents }))
    const readers = logs.map((log) => new PullClient(t, log.after()))
    const first = readers.map((reader) => reader.take(1))
    await watch.untilBlocked()
    await logs[1]?.append('a')
    t.same(await Promise.all(first), [['a'], ['a']])
    const late = new PullClient(t, new RedisEventLog({ client, key: 'log', from: 'start' }).after())
    t.same(await late.take(1), ['a'])
    t.equal(await watch.connections(), 2)
  })

  t.test('Should read on after the connection was closed while nobody listened', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const other = await redis.connect(t)
    const connections = collectDuplicates(client)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    const early = new PullClient(t, log.after())
    const first = early.take(1)
    await watch.untilBlocked()
    await log.append(1)
    t.same(await first, [1])
    await early.leave()
    await waitUntil(async () => await watch.blocked() === 0)
    await other.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal'])
    // A read that begins before this process has seen that its connection is closed would fail, and be logged.
    await waitUntil(() => connections.length > 0 && connections.every(({ isOpen }) => !isOpen))
    const late = new PullClient(t, log.after())
    const second = late.take(1)
    await waitUntil(async () => await (await RedisWatch.open(t, redis)).blocked() > 0)
    await new RedisEventLog({ client: other, key: 'log' }).append(2)
    t.same(await second, [2])
    t.same(logger.warnings, [])
  })
})

/** Collects the connections that a client makes besides its own: a log reads by one of them. */
function collectDuplicates (client: Client): Client[] {
  const duplicates: Client[] = []
  const { duplicate } = client
  client.duplicate = ((...args: Parameters<typeof duplicate>) => {
    const made = Reflect.apply(duplicate, client, args)
    duplicates.push(made as Client)
    return made
  }) as typeof duplicate
  return duplicates
}
