import { EventEmitter, once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { RedisCursor } from '../../../lib/event-log/redis/cursor.ts'
import type { RedisClient } from '../../../lib/event-log/redis/client.ts'
import { EntryParser } from '../../../lib/event-log/redis/entry.ts'
import { RedisPages } from '../../../lib/event-log/redis/pages.ts'
import type { Page } from '../../../lib/event-log/redis/pages.ts'
import { RedisStream } from '../../../lib/event-log/redis/stream.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import { Clock } from '../../fixtures/clock.ts'
import { PullClient, RecordingLogger } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'

const BOUNDS = { maxEvents: 1000, maxBytes: 2 ** 20, maxAge: Infinity }

t.test('A stream of Redis', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should reject where Redis cannot be asked whether entries are missing', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const stream = new RedisStream('log', client as RedisClient, BOUNDS, new RecordingLogger())
    const connection = await client.duplicate().connect()
    connection.destroy()
    await t.rejects(stream.checkContinuity(connection as RedisClient, false), { name: 'Error' })
  })

  t.test('Should know whether it was ever trimmed, and reject where Redis cannot be asked', async (t) => {
    const redis = await RedisServer.start(t, { isExact: true })
    const client = await redis.connect(t)
    const stream = new RedisStream('log', client as RedisClient, BOUNDS, new RecordingLogger())
    t.equal(await stream.isUntrimmed(), true, 'there is none yet')
    const log = new RedisEventLog<number>({ client, key: 'log' })
    for (let n = 0; n < 3; n++) await log.append(n)
    t.equal(await stream.isUntrimmed(), true)
    await client.xTrim('log', 'MAXLEN', 2)
    t.equal(await stream.isUntrimmed(), false)
    client.destroy()
    await t.rejects(stream.isUntrimmed(), { message: /closed/ })
  })

  t.test('Should remember pages that somebody reads, and not more than a thousand', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const log = new RedisEventLog<number>({ client, key: 'log' })
    const ids = await Promise.all(Array.from({ length: 1_100 }, (_, n) => log.append(n)))
    const pages = new RedisPages('log', client as RedisClient, new EntryParser('log', new RecordingLogger()))
    const read: Page[] = []
    for (const id of ids.slice(0, 1_024)) read.push(await pages.read(id))
    const before = await watch.calls('xrange')
    t.equal(await pages.read(String(ids[0])), read[0])
    t.equal(await watch.calls('xrange'), before)
    read.push(await pages.read(String(ids[1_024])))
    t.not(await pages.read(String(ids[0])), read[0], 'all are forgotten')
    t.equal(await watch.calls('xrange'), before + 2)
  })

  t.test('Should not try again to read a page for a reader that has left', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog<number>({ client, key: 'log' })
    const first = await log.append(0)
    await Promise.all(Array.from({ length: 300 }, (_, n) => log.append(n)))

    const waker = new EventEmitter()
    const stream = new RedisStream('log', client as RedisClient, BOUNDS, new RecordingLogger())
    const cursor = new RedisCursor(stream, first, 'now', () => waker.emit('wake'))
    t.teardown(() => cursor.close())
    await once(waker, 'wake')

    const clock = new Clock(t)
    let reads = 0
    t.intercept(client, 'sendCommand', { value: async () => { reads++; throw new Error('away') } })
    t.equal(cursor.next(), null)
    await untilIdle()
    t.equal(reads, 1)
    clock.advance(500)
    await untilIdle()
    t.equal(reads, 2, 'it has tried again')
    cursor.close()
    clock.advance(5_000)
    await untilIdle()
    t.equal(reads, 2)
  })

  t.test('Should be read on after a read that has brought nothing', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const log = new RedisEventLog<number>({ client, key: 'log' })
    const reader = new PullClient(t, log.after())
    const event = reader.take(1)
    while (await watch.calls('xread') < 2) await setTimeout(100)
    await log.append(1)
    t.same(await event, [1])
  })
})

/** Waits until all callbacks of promises that are settled already have run. */
async function untilIdle (): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}
