import t from 'tap'
import type { Test } from 'tap'
import { buildApp, listen, portOf } from '../../fixtures/app.ts'
import { PullClient, RecordingLogger, numbers } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import type { Client, RedisServerOptions } from '../../fixtures/redis.ts'
import { Closings, Reader } from '../../fixtures/slow.ts'
import { isMissing } from '../../fixtures/tool.ts'
import { deferred } from '../../fixtures/one-route.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import type { RedisClient, RedisEventLogOptions } from '../../../lib/event-log/redis/event-log.ts'

t.setTimeout(120_000)

interface OpenLog {
  readonly redis: RedisServer
  readonly watch: RedisWatch
  readonly client: Client
  readonly log: RedisEventLog<unknown>
  /** The ids of the events that were appended. */
  readonly ids: string[]
  append (...values: unknown[]): Promise<void>
  /** Makes a reader, so that the ring is filled, and waits until it has got one more event. */
  listen (): Promise<PullClient>
}

async function openLog (t: Test, options: Partial<RedisEventLogOptions> = {}, server: RedisServerOptions = {}): Promise<OpenLog> {
  const redis = await RedisServer.start(t, server)
  const watch = await RedisWatch.open(t, redis)
  const client = await redis.connect(t)
  const log = new RedisEventLog({ client, key: 'log', ...options })
  const ids: string[] = []
  const append = async (...values: unknown[]): Promise<void> => {
    ids.push(...await Promise.all(values.map((value) => log.append({ data: value }))))
  }
  const listen = async (): Promise<PullClient> => {
    const reader = new PullClient(t, log.after())
    const waiting = reader.take(1)
    await watch.untilBlocked()
    await append('last')
    t.same(await waiting, ['last'])
    return reader
  }
  return { redis, watch, client, log, ids, append, listen }
}

/** Appends numbers from 0 in one transaction, so that nobody can read between them. */
async function appendAtOnce (client: Client, count: number, maxEvents: number): Promise<string[]> {
  const transaction = client.multi()
  for (const number of numbers(0, count)) {
    transaction.addCommand(['XADD', 'log', 'MAXLEN', '~', String(maxEvents), '*', 'data', String(number)])
  }
  return (await transaction.exec()).map(String)
}

/** The number of range reads since Redis last forgot its statistics. */
async function ranges (watch: RedisWatch): Promise<number> {
  return await watch.calls('xrange') + await watch.calls('xrevrange')
}

t.test('A reader of a log on Redis', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should cost no range read where its id is in memory', async (t) => {
    const { watch, log, ids, append, listen } = await openLog(t)
    await append(...numbers(0, 100))
    await listen()
    await watch.forget()
    for (const index of [0, 50, 99]) {
      t.same(await new PullClient(t, log.after(ids[index])).take(100 - index), [...numbers(index + 1, 99 - index), 'last'])
    }
    t.equal(await ranges(watch), 0)
  })

  t.test('Should read older ones in pages, and those that nobody takes not at all', async (t) => {
    const { watch, log, ids, append, listen } = await openLog(t, { maxBytes: 1_000 })
    await append(...numbers(0, 640))
    await listen()
    await watch.forget()
    const slow = new PullClient(t, log.after(ids[0]))
    t.same(await slow.take(65), numbers(1, 65))
    t.equal(await ranges(watch), 2)
    await watch.calls('ping')
    t.equal(await ranges(watch), 2)
    t.same(await slow.take(575), [...numbers(66, 574), 'last'])
    t.equal(await ranges(watch), 10)
  })

  t.test('Should share pages with the others that are at the same place', async (t) => {
    const { watch, log, ids, append, listen } = await openLog(t, { maxBytes: 1_000 })
    await append(...numbers(0, 640))
    await listen()
    await watch.forget()
    const readers = numbers(0, 200).map(() => new PullClient(t, log.after(ids[0])))
    const all = await Promise.all(readers.map((reader) => reader.take(640)))
    for (const taken of all) t.same(taken, [...numbers(1, 639), 'last'])
    t.ok(await ranges(watch) <= 20, `${await ranges(watch)} reads`)
  })

  t.test('Should be pulled at the speed of a client that stalls, and no bound should end it', async (t) => {
    const { watch, log, ids, append, listen: fill } = await openLog(t, { maxBytes: 100_000, maxEvents: 100_000 })
    const text = 'x'.repeat(20_000)
    for (const part of numbers(0, 40)) await append(...numbers(0, 50).map((number) => ({ number: part * 50 + number, text })))
    await fill()
    const closings = new Closings()
    const app = await buildApp(t, { buffer: { maxBytes: 50_000 }, onClose: closings.onClose })
    app.get('/', (_request, reply) => reply.sse(log.after(ids[0])))
    await listen(app)
    await watch.forget()
    const seen: unknown[] = []
    const reader = await Reader.open(t, portOf(app), '/', ({ data }) => seen.push(data === 'last' ? data : JSON.parse(data).number))
    reader.pause()
    let before = -1
    // The client has stopped reading when the number of range reads stays: the kernel's buffers are full then.
    for (let reads = await ranges(watch); reads !== before || reads === 0; reads = await ranges(watch)) {
      before = reads
      for (let i = 0; i < 100; i++) await watch.calls('ping')
    }
    t.ok(before < 25, `${before} of 32 pages`)
    reader.resume()
    await reader.until(() => seen.length === 2_000)
    t.same(seen, [...numbers(1, 1_999), 'last'])
    t.same(closings.all, [])
  })

  t.test('Should go on by range reads when it falls behind memory, and miss nothing', async (t) => {
    const { watch, log, append, listen } = await openLog(t, { maxBytes: 1_000 })
    const fast = await listen()
    const slow = new PullClient(t, log.after())
    const first = slow.take(1)
    await append(0)
    t.same(await first, [0])
    t.same(await fast.take(1), [0])
    await watch.forget()
    for (const number of numbers(1, 300)) {
      const next = fast.take(1)
      await append(number)
      t.same(await next, [number])
    }
    t.equal(await ranges(watch), 0)
    t.same(await slow.take(300), numbers(1, 300))
    t.ok(await ranges(watch) >= 5)
  })

  t.test('Should get a gap when it falls behind what Redis holds, and go on without a repeat', async (t) => {
    const { watch, log, ids, append } = await openLog(t, { maxEvents: 10 }, { isExact: true })
    const slow = new PullClient(t, log.after())
    const first = slow.take(1)
    await watch.untilBlocked()
    await append(0)
    t.same(await first, [0])
    for (const number of numbers(1, 30)) await append(number)
    const [gap, ...rest] = await slow.takeEvents(11)
    t.match(gap, { type: 'gap', data: JSON.stringify({ lastEventId: ids[0], oldest: ids[21] }) })
    t.same(rest.map(({ data }) => data), numbers(21, 10))
  })

  t.test('Should get a gap where more came at once than Redis holds', async (t) => {
    const { watch, client, ids, append, listen } = await openLog(t, { maxEvents: 10 }, { isExact: true })
    const live = await listen()
    ids.push(...await appendAtOnce(client, 50, 10))
    const [gap, ...rest] = await live.takeEvents(11)
    t.match(gap, { type: 'gap', data: JSON.stringify({ lastEventId: ids[0], oldest: ids.at(-10) }) })
    t.same(rest.map(({ data }) => data), numbers(40, 10))
    await watch.untilBlocked()
    await append('after')
    t.same(await live.take(1), ['after'])
  })

  t.test('Should get a gap where a stream that was empty has been trimmed since', async (t) => {
    const { watch, client, log } = await openLog(t, { maxEvents: 10 }, { isExact: true })
    const reader = new PullClient(t, log.after())
    const waiting = reader.take(3)
    await watch.untilBlocked()
    await appendAtOnce(client, 30, 10)
    t.same(await waiting, ['gap', 20, 21])
  })

  t.test('Should get no gap where much comes at once in a stream that was empty, and Redis holds it', async (t) => {
    const { watch, client, log } = await openLog(t, { maxEvents: 5_000, maxBytes: 1_000 })
    const reader = new PullClient(t, log.after())
    const waiting = reader.take(1_500)
    await watch.untilBlocked()
    await appendAtOnce(client, 1_500, 5_000)
    t.same(await waiting, numbers(0, 1_500))
  })

  t.test('Should get nothing twice where a page has more than has come by the other connection', async (t) => {
    const { redis, client, ids, append } = await openLog(t)
    let held: Promise<void> | null = null
    const duplicate = client.duplicate.bind(client)
    const holding = Object.assign(Object.create(client) as RedisClient, {
      on: client.on.bind(client),
      sendCommand: client.sendCommand.bind(client),
      duplicate (overrides?: object) {
        const connection = duplicate(overrides)
        const sendCommand = connection.sendCommand.bind(connection)
        return Object.assign(connection, {
          async sendCommand (...args: Parameters<typeof sendCommand>) {
            const reply = await sendCommand(...args)
            await held
            return reply
          }
        })
      }
    })
    Object.defineProperty(holding, 'isOpen', { get: () => client.isOpen })
    Object.defineProperty(holding, 'options', { get: () => client.options })
    const log = new RedisEventLog({ client: holding, key: 'log', maxBytes: 1_000 })
    await append(...numbers(0, 20))
    const live = new PullClient(t, log.after())
    const next = live.take(1)
    await (await RedisWatch.open(t, redis)).untilBlocked()
    const { promise, resolve: release } = deferred<void>()
    held = promise
    await append(20, 21, 22)
    const reader = new PullClient(t, log.after(ids[3]))
    t.same(await reader.take(19), numbers(4, 19))
    const more = reader.take(1)
    release()
    held = null
    t.same(await next, [20])
    await append(23)
    t.same(await more, [23])
  })

  t.test('Should begin where `from` says, and resume from what it began with', async (t) => {
    const { client, log, ids, append, listen: fill } = await openLog(t)
    await append(0, 1)
    const app = await buildApp(t)
    app.get('/', (_request, reply) => reply.sse(log))
    await listen(app)
    await fill()
    const start = new RedisEventLog({ client, key: 'log', from: 'start' })
    t.same(await new PullClient(t, start.after()).take(3), [0, 1, 'last'])
    t.same(await new PullClient(t, start.after('')).take(3), [0, 1, 'last'])
    const response = await fetch(`http://127.0.0.1:${portOf(app)}/`)
    const { value } = await response.body?.getReader().read() ?? {}
    t.match(new TextDecoder().decode(value), `id: ${ids[2]}`)
    const back = new PullClient(t, log.after(ids[2]))
    const next = back.take(1)
    await append('next')
    t.same(await next, ['next'])
  })

  t.test('Should get a gap where its id is not held, and get all that is', async (t) => {
    const { log, ids, append } = await openLog(t, { maxEvents: 10 }, { isExact: true })
    await append(...numbers(0, 30))
    for (const id of [...ids.slice(0, 2), '1-1', '9999999999999-0', '0-0', 'not an id', 'a1b2c3d4e5f6-7']) {
      const [gap, ...rest] = await new PullClient(t, log.after(id)).takeEvents(11)
      t.match(gap, { type: 'gap', data: JSON.stringify({ lastEventId: id, oldest: ids[20] }) }, id)
      t.same(rest.map(({ data }) => data), numbers(20, 10), id)
    }
  })

  t.test('Should get a gap where nothing is held, and get what comes', async (t) => {
    const { watch, log, append } = await openLog(t)
    const reader = new PullClient(t, log.after('5-5'))
    const [gap] = await reader.takeEvents(1)
    t.match(gap, { type: 'gap', data: '{"lastEventId":"5-5","oldest":null}' })
    const next = reader.take(1)
    await watch.untilBlocked()
    await append('next')
    t.same(await next, ['next'])
  })

  t.test('Should pass by a page of what is no event', async (t) => {
    const logger = new RecordingLogger()
    const { client, ids, append, log, listen } = await openLog(t, { maxBytes: 1_000, logger })
    await append('first')
    for (let i = 0; i < 200; i++) await client.xAdd('log', '*', { foreign: 'field' })
    await append(...numbers(0, 300))
    await listen()
    t.same(await new PullClient(t, log.after(ids[0])).take(3), [0, 1, 2])
  })
})
