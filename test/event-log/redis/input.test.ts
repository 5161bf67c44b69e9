import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { buildApp, listen, portOf } from '../../fixtures/app.ts'
import { PullClient, RecordingLogger, numbers } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import { Reader } from '../../fixtures/slow.ts'
import { isMissing } from '../../fixtures/tool.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'

t.setTimeout(60_000)

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const MEBIBYTE = 2 ** 20

t.test('What others give to a log on Redis', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should not reach Redis where it is no id', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: 'log' })
    await log.append('held')
    const monitor = await redis.connect(t)
    const commands: string[] = []
    await monitor.monitor((command) => commands.push(String(command)))
    const bad = [
      "'; DROP", 'x'.repeat(MEBIBYTE), 'a\0b', 'é', 'a1b2c3d4e5f6-12', '18446744073709551616-0', '0-18446744073709551616', '1-1-1', '-', '+', '$',
      '(0-0', '1 1', '01-1', '1-1\r\nFLUSHALL'
    ]
    for (const id of bad) t.same(await new PullClient(t, log.after(id)).take(2), ['gap', 'held'], id.slice(0, 30))
    t.same(await new PullClient(t, log.after('0-0')).take(1), ['held'], 'where a reader of an empty log was')
    await client.sendCommand(['ECHO', 'the end'])
    while (!commands.some((command) => command.includes('the end'))) await new Promise((resolve) => { setImmediate(resolve) })
    const ranges = commands.filter((command) => /"XRANGE"/i.test(command))
    t.ok(ranges.length >= 1)
    t.same(ranges.filter((command) => !/"XRANGE" "log" "0-0" "\+" "COUNT" "65"/i.test(command)), [])
  })

  t.test('Should give a gap without what cannot be an id', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: 'log' })
    const id = await log.append('held')
    for (const bad of ['x'.repeat(MEBIBYTE), 'a\0b', 'a\nb', ' a', 'é']) {
      const [gap] = await new PullClient(t, log.after(bad)).takeEvents(1)
      t.same(gap?.data, JSON.stringify({ lastEventId: null, oldest: id }))
    }
    const [gap] = await new PullClient(t, log.after("'; DROP")).takeEvents(1)
    t.same(gap?.data, JSON.stringify({ lastEventId: "'; DROP", oldest: id }))
  })

  t.test('Should not stay in memory where it is no id', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: 'log' })
    await log.append('held')
    const before = process.memoryUsage()
    const readers = numbers(0, 200).map((number) => new PullClient(t, log.after(Buffer.alloc(MEBIBYTE, String(number % 10)).toString('latin1'))))
    await Promise.all(readers.map((reader) => reader.take(2)))
    gc()
    const after = process.memoryUsage()
    const grown = (after.heapUsed + after.external - before.heapUsed - before.external) / MEBIBYTE
    t.ok(grown < 50, `${grown.toFixed(1)} MiB more for 200 MiB of ids`)
  })

  t.test('Should be read where other programs append data, text or a type', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const add = async (fields: Record<string, string>): Promise<string> => client.xAdd('log', '*', fields)
    const ids = [
      await add({ data: '{"a":[1]}' }),
      await add({ text: 'line\nline', type: 'note', retry: '10', comment: 'seen', other: 'field' }),
      await add({ type: 'bare' }),
      await add({ data: 'null' }),
      await add({ data: '', text: '' }).then(() => add({ text: '' }))
    ]
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', from: 'start', logger })
    const events = await new PullClient(t, log.after()).takeEvents(5)
    t.same(events.map(({ id, data, type, retry, comment }) => ({ id, data, type, retry, comment })), [
      { id: ids[0], data: { a: [1] }, type: undefined, retry: undefined, comment: undefined },
      { id: ids[1], data: 'line\nline', type: 'note', retry: 10, comment: 'seen' },
      { id: ids[2], data: undefined, type: 'bare', retry: undefined, comment: undefined },
      { id: ids[3], data: null, type: undefined, retry: undefined, comment: undefined },
      { id: ids[4], data: '', type: undefined, retry: undefined, comment: undefined }
    ])
    t.equal(logger.warnings.length, 1, 'data that is no JSON')
  })

  t.test('Should be skipped, and warned about, where no event can be made of it', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    const app = await buildApp(t)
    app.get('/', (_request, reply) => reply.sse(log))
    await listen(app)
    const reader = await Reader.open(t, portOf(app))
    await watch.untilBlocked()
    const first = await log.append('first')
    const foreign: Array<Record<string, string>> = [
      { '': '' }, { field: 'value' }, { comment: 'alone' }, { retry: '1' }, { data: '{' }, { data: '' }, { data: 'undefined' },
      { text: 'a', type: 'b\nc' }, { text: 'a', type: 'b\r' }, { text: 'a', retry: '-1' }, { text: 'a', retry: 'soon' }, { text: 'a', retry: '1.5' }
    ]
    const ids: string[] = []
    for (const fields of foreign) ids.push(await client.xAdd('log', '*', fields))
    await log.append('last')
    await reader.until(({ data }) => data.includes('last'))
    t.same(reader.data, ['first', 'last'])
    t.same(logger.warnings, foreign.map(() => 'an entry of an event log is no event'))
    t.same(logger.details.map(({ id, key }) => [id, key]), ids.map((id) => [id, 'log']))
    for (const { err } of logger.details) t.ok(err instanceof Error)
    t.same(await new PullClient(t, log.after(first)).take(1), ['last'])
    t.same(await new PullClient(t, log.after(ids[3])).take(1), ['last'], 'it is an id of the log all the same')
  })

  t.test('Should be rejected, and not be appended, where it is wrong', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog<unknown>({ client, key: 'log' })
    await t.rejects(log.append({ id: '1-1', data: 1 }), { code: 'FST_SSE_INVALID_FIELD' })
    await t.rejects(log.append({ comment: 'alone' }), { code: 'FST_SSE_INVALID_MESSAGE' })
    await t.rejects(log.append({ type: 'a\nb', data: 1 }), { code: 'FST_SSE_INVALID_FIELD' })
    await t.rejects(log.append({ data: 1n }), { code: 'FST_SSE_SERIALIZATION' })
    t.equal(await client.exists('log'), 0)
  })

  t.test('Should come back as it was appended', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const log = new RedisEventLog<unknown>({ client, key: 'log', from: 'start' })
    const values = ['text', '', 'null', 0, false, null, [1, [2]], { data: { wörld: '🌍' }, type: 'named', retry: 5, comment: 'c' }, { type: 'bare' }]
    const ids = await Promise.all(values.map((value) => log.append(value)))
    const events = await new PullClient(t, log.after()).takeEvents(values.length)
    t.same(events.map(({ id }) => id), ids)
    t.same(events.map(({ data }) => data), ['text', '', 'null', 0, false, null, [1, [2]], { wörld: '🌍' }, undefined])
    t.match(events[7], { type: 'named', retry: 5, comment: 'c' })
  })
})
