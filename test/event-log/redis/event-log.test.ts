import { RESP_TYPES, createClientPool, createCluster, createSentinel } from 'redis'
import t from 'tap'
import { RawClient, buildApp, listen } from '../../fixtures/app.ts'
import { PullClient, RecordingLogger, numbers } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import type { ClientOptions } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import type { RedisEventLogOptions } from '../../../lib/event-log/redis/event-log.ts'

t.setTimeout(60_000)

function method (): void {}

const create = (options: unknown) => (): unknown => new RedisEventLog(options as RedisEventLogOptions)

t.test('A log on Redis', { skip: isMissing('redis-server') }, async (t) => {
  const redis = await RedisServer.start(t, { isExact: true })
  let keys = 0
  const nextKey = (): string => `log ${++keys}`

  t.test('Should refuse options that are wrong', async (t) => {
    const client = redis.createClient(t)
    const given = { client, key: 'log' }
    const wrong: Array<[options: unknown, message: RegExp]> = [
      [{ key: 'log' }, /"client" must be a client of the package "redis".*it is undefined/],
      [{ client: null, key: 'log' }, /"client".*it is null/],
      [{ client: {}, key: 'log' }, /"client"/],
      [{ client: redis.url, key: 'log' }, /"client"/],
      [{ client }, /"key" must be a string; it is undefined/],
      [{ client, key: '' }, /"key" must be a string/],
      [{ client, key: Buffer.from('log') }, /"key" must be a string/],
      ...[0, -1, 1.5, NaN, Infinity, 2 ** 31, '5', null].map((appendTimeout): [unknown, RegExp] =>
        [{ ...given, appendTimeout }, /"appendTimeout" must be a whole number of milliseconds from 1/]),
      ...[null, 'log', {}, { warn () {} }, { info () {} }].map((logger): [unknown, RegExp] => [{ ...given, logger }, /"logger" must be an object with warn/]),
      [{ ...given, maxEvents: 0 }, /"maxEvents"/],
      [{ ...given, from: 'end' }, /"from"/],
      [undefined, /"client" must be/],
      [null, /"client" must be/]
    ]
    for (const [options, message] of wrong) t.throws(create(options), { code: 'FST_SSE_INVALID_OPTION', message })
    t.throws(create({ ...given, ttl: 5 }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"ttl"/ })
    const log = new RedisEventLog({ client, key: 'log' })
    t.throws(() => log.after(5 as never), { code: 'FST_SSE_INVALID_OPTION' })
  })

  t.test('Should refuse by name a client that it cannot be read with', async (t) => {
    const sentinelRootNodes = [{ host: '127.0.0.1', port: redis.port }]
    const common = { sendCommand: method, duplicate: method, connect: method, on: method, options: {} }
    const refused: ReadonlyArray<readonly [client: unknown, kind: string]> = [
      [createCluster({ rootNodes: [{ url: redis.url }] }), 'a cluster'],
      [createSentinel({ name: 'primary', sentinelRootNodes }), 'a sentinel'],
      [createClientPool({ url: redis.url }), 'a pool'],
      // Stand-ins for clients of other packages, with the members by which they differ from one of redis 5 or 6.
      [{ ...common, call: method, status: 'wait' }, 'a client of ioredis'],
      [{ ...common, call: method, slots: [] }, 'a client of ioredis'],
      [{ ...common, unref: method, internal_send_command: method }, 'a client of redis 3 or older'],
      [{ ...common, ref: method, unref: method, executeIsolated: method }, 'a client of redis 4'],
      [{ ...common, slots: [], executeIsolated: method }, 'a cluster']
    ]
    for (const [client, kind] of refused) {
      t.throws(create({ client, key: 'log' }), {
        code: 'FST_SSE_INVALID_OPTION',
        message: 'The option "client" must be a client of the package "redis", version 5 or 6, made by createClient(): ' +
          `clusters, pools and sentinels are not served; it is ${kind}`
      })
    }
    // redis 4 made a log all the same, and ended the process when the last reader left: it has no destroy().
    const client = { ...common, destroy: method, ref: method, unref: method }
    for (const name of Object.keys(client).filter((name) => name !== 'options')) {
      const incomplete = { ...client, [name]: undefined }
      t.throws(create({ client: incomplete, key: 'log' }), { code: 'FST_SSE_INVALID_OPTION', message: /"client"/ }, name)
    }
    t.doesNotThrow(create({ client, key: 'log' }))
  })

  t.test('Should ask nothing of Redis until it is used', async (t) => {
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: nextKey() })
    log.after()
    t.equal(await watch.connections(), 1)
  })

  const clients: Record<string, ClientOptions> = {
    'RESP2': { RESP: 2 },
    'RESP3': { RESP: 3 },
    'RESP3 and maps as Maps': { RESP: 3, commandOptions: { typeMapping: { [RESP_TYPES.MAP]: Map } } },
    'RESP3 and maps as arrays': { RESP: 3, commandOptions: { typeMapping: { [RESP_TYPES.MAP]: Array } } },
    'RESP2 and Buffers': { RESP: 2, commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } },
    'RESP3 and Buffers': { RESP: 3, commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } },
    'another database': { database: 3 },
    'no offline queue': { disableOfflineQueue: true }
  }
  for (const [name, options] of Object.entries(clients)) {
    t.test(`Should work on a client with ${name}`, async (t) => {
      const client = await redis.connect(t, options)
      const watch = await RedisWatch.open(t, redis)
      const key = nextKey()
      const log = new RedisEventLog<unknown>({ client, key, maxBytes: 1_000, from: 'start' })
      const ids = await Promise.all(numbers(0, 300).map((number) => log.append({ data: { number } })))
      const live = new PullClient(t, log.after())
      t.same(await live.take(300), numbers(0, 300).map((number) => ({ number })))
      const next = live.take(1)
      await watch.untilBlocked()
      await log.append('wörld 🌍')
      t.same(await next, ['wörld 🌍'])
      t.same(await new PullClient(t, log.after(ids[5])).take(295), [...numbers(6, 294).map((number) => ({ number })), 'wörld 🌍'])
      const other = await redis.connect(t, { database: options.database })
      t.equal(await other.xLen(key), 301)
    })
  }

  t.test('Should work where the client maps keys with odd names', async (t) => {
    for (const RESP of [2, 3] as const) {
      const client = await redis.connect(t, { RESP })
      for (const key of ['__proto__', 'constructor', '0', 'a b\r\nc', 'ключ', '{tag}']) {
        const log = new RedisEventLog({ client, key, from: 'start' })
        await client.del(key)
        const reader = new PullClient(t, log.after())
        const next = reader.take(2)
        await log.append(1)
        await log.append(2)
        t.same(await next, [1, 2], key)
        await reader.leave()
      }
    }
  })

  t.test('Should hold maxEvents', async (t) => {
    const client = await redis.connect(t)
    const key = nextKey()
    const log = new RedisEventLog({ client, key, maxEvents: 7, from: 'start' })
    for (const number of numbers(0, 20)) await log.append(number)
    t.equal(await client.xLen(key), 7)
    t.same(await new PullClient(t, log.after()).take(7), numbers(13, 7))
  })

  t.test('Should trim what is older than maxAge, at most once a second', async (t) => {
    const client = await redis.connect(t)
    const watch = await RedisWatch.open(t, redis)
    const key = nextKey()
    const log = new RedisEventLog({ client, key, maxAge: 60_000 })
    const now = Date.now()
    await client.xAdd(key, `${now - 120_000}-0`, { text: 'old' })
    await client.xAdd(key, `${now - 30_000}-0`, { text: 'young' })
    await watch.forget()
    for (const number of numbers(0, 5)) await log.append(number)
    t.equal(await watch.calls('xtrim'), 1)
    const entries = await client.xRange(key, '-', '+')
    t.equal(entries?.length, 6)
    t.match(entries?.[0]?.message, { text: 'young' })
    const kept = nextKey()
    await new RedisEventLog({ client, key: kept }).append(1)
    t.equal(await watch.calls('xtrim'), 1, 'and not without maxAge')
  })

  t.test('Should append where a trim fails', async (t) => {
    const client = await redis.connect(t)
    const sendCommand = client.sendCommand.bind(client)
    const failing = Object.assign(client, {
      sendCommand: async (args: readonly string[]) => {
        if (args[0] === 'XTRIM') throw new Error('no')
        return sendCommand(args)
      }
    })
    const log = new RedisEventLog({ client: failing, key: nextKey(), maxAge: 1 })
    t.match(await log.append(1), /^\d+-\d+$/)
  })

  t.test('Should reject with what a client fails with, whatever it is', async (t) => {
    const client = await redis.connect(t)
    const log = new RedisEventLog({ client, key: 'failing' })
    Object.assign(client, { sendCommand: async () => { throw 'a string' } })
    await t.rejects(log.append(1), { code: 'FST_SSE_LOG_UNAVAILABLE', message: /the log may have it all the same/, cause: 'a string' })
  })

  t.test('Should miss nothing where it was empty when a client came, which comes back', async (t) => {
    for (const RESP of [2, 3] as const) {
      const client = await redis.connect(t, { RESP })
      const app = await buildApp(t)
      const log = new RedisEventLog<number>({ client, key: nextKey() })
      app.get('/', (_request, reply) => reply.sse(log))
      await listen(app)
      const browser = new RawClient(app)
      t.teardown(() => browser.socket.destroy())
      browser.get('/')
      await browser.until(/id: 0-0\n\n/)
      for (const number of numbers(0, 3)) await log.append(number)
      t.same(await new PullClient(t, log.after('0-0')).take(3), [0, 1, 2])
    }
  })

  t.test('Should not take what was trimmed for what has never been', async (t) => {
    const client = await redis.connect(t)
    const key = nextKey()
    const log = new RedisEventLog<number>({ client, key })
    for (const number of numbers(0, 3)) await log.append(number)
    await client.xTrim(key, 'MAXLEN', 2)
    t.same(await new PullClient(t, log.after('0-0')).take(3), ['gap', 1, 2])
    await client.set(key, 'another type')
    const logger = new RecordingLogger()
    const waiting = new RedisEventLog({ client, key, logger })
    const next = new PullClient(t, waiting.after('0-0')).take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    await client.del(key)
    await waiting.append(3)
    t.same(await next, [3])
  })

  t.test('Should send the message that the option gap makes', async (t) => {
    const client = await redis.connect(t)
    const key = nextKey()
    const logger = new RecordingLogger()
    const options = { client, key, logger }
    const id = await new RedisEventLog(options).append('held')
    const own = new RedisEventLog({ ...options, gap: ({ lastEventId, oldest }) => ({ type: 'missed', data: `${lastEventId} ${oldest}` }) })
    t.match(await new PullClient(t, own.after('1-1')).takeEvents(2), [{ type: 'missed', data: `1-1 ${id}` }, { data: 'held' }])
    const silent = new RedisEventLog({ ...options, gap: () => undefined })
    t.same(await new PullClient(t, silent.after('1-1')).take(1), ['held'])
  })

  t.test('Should give each reader what it wants', async (t) => {
    const client = await redis.connect(t)
    const log = new RedisEventLog<number>({ client, key: nextKey(), from: 'start' })
    for (const number of numbers(0, 10)) await log.append(number)
    const even = new PullClient(t, log.after('', { filter: ({ data }) => Number(data) % 2 === 0 }))
    t.same(await even.take(5), [0, 2, 4, 6, 8])
    const texts = new PullClient(t, log.after('', { map: ({ data }) => `number ${data}` }))
    t.same(await texts.take(2), ['number 0', 'number 1'])
  })
})
