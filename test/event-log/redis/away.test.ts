import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { RawClient, buildApp, listen } from '../../fixtures/app.ts'
import { PullClient, RecordingLogger, numbers } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import type { Client, RedisServerOptions } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import type { RedisEventLogOptions } from '../../../lib/event-log/redis/event-log.ts'
import { within } from '../../fixtures/waits.ts'

t.setTimeout(120_000)

const AWAY = 'event logs cannot be read from Redis; their readers wait until it is back'
const BACK = 'event logs are read from Redis again'
const ONE_AWAY = 'an event log cannot be read from Redis; its readers wait until it can'
const ONE_BACK = 'an event log is read from Redis again'

interface OpenLog {
  readonly redis: RedisServer
  readonly client: Client
  readonly logger: RecordingLogger
  readonly log: RedisEventLog<unknown>
  /** A reader that waits for an event. */
  readonly reader: PullClient
  readonly next: Promise<unknown[]>
}

async function openLog (t: Test, options: Partial<RedisEventLogOptions> = {}, server: RedisServerOptions = { isDurable: true }): Promise<OpenLog> {
  const redis = await RedisServer.start(t, server)
  const watch = await RedisWatch.open(t, redis)
  const client = await redis.connect(t)
  const logger = new RecordingLogger()
  const log = new RedisEventLog({ client, key: 'log', logger, ...options })
  await log.append('first')
  const reader = new PullClient(t, log.after())
  const next = reader.take(1)
  await watch.untilBlocked()
  return { redis, client, logger, log, reader, next }
}

t.test('A log on a Redis that is away', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should refuse events in time, and not append them later', async (t) => {
    const { redis, client, log, logger, next } = await openLog(t, { appendTimeout: 300 })
    await redis.kill()
    const start = performance.now()
    const refused = numbers(0, 20).map((number) => t.rejects(log.append(number), {
      code: 'FST_SSE_LOG_UNAVAILABLE', message: /the log may have it all the same: appended again, it may come twice/,
      cause: { message: 'Redis has not answered within 300 ms' }
    }))
    await Promise.all(refused)
    const delay = performance.now() - start
    t.ok(delay >= 299 && delay < 1_500, `after ${delay} ms`)
    await redis.start()
    await logger.until(({ infos }) => infos.length > 0)
    // The connection that appends is another one, and comes back in its own time.
    await within(client.ping(), 'the client of the log')
    await log.append('second')
    t.same(await next, ['second'])
    t.equal(await client.xLen('log'), 2)
  })

  t.test('Should go on from the last event, and log it once, and once when it is back', async (t) => {
    const { redis, log, logger, reader, next } = await openLog(t)
    const app = await buildApp(t, { heartbeat: 20 })
    app.get('/', (_request, reply) => reply.sse(log))
    await listen(app)
    const browser = new RawClient(app)
    browser.get('/')
    await browser.until(/id: /)
    await redis.kill()
    await logger.until(({ warnings }) => warnings.length > 0)
    const { length } = browser.text
    while (browser.text.slice(length).split(':\n\n').length < 10) await new Promise((resolve) => browser.socket.once('data', resolve))
    const appended = log.append('second')
    await redis.start()
    await appended
    t.same(await next, ['second'])
    await browser.until(/data: second/)
    t.same(logger.warnings, [AWAY])
    t.match(logger.details[0]?.err, { message: /closed/i })
    await logger.until(({ infos }) => infos.length > 0)
    t.same(logger.infos, [BACK])
    await log.append('third')
    t.same(await reader.take(1), ['third'])
    browser.socket.destroy()
  })

  t.test('Should notice that it has stopped answering, and go on when it answers again', async (t) => {
    const { redis, log, logger, next } = await openLog(t, { appendTimeout: 200 })
    redis.freeze()
    t.teardown(() => redis.thaw())
    const start = performance.now()
    await t.rejects(log.append('lost'), { code: 'FST_SSE_LOG_UNAVAILABLE' })
    await logger.until(({ warnings }) => warnings.length > 0)
    const delay = performance.now() - start
    t.ok(delay < 9_000, `after ${delay} ms`)
    t.match(logger.details[0]?.err, { message: /has not answered within 8000 ms/ })
    redis.thaw()
    await logger.until(({ infos }) => infos.length > 0)
    await log.append('second')
    // The command had been written before its timeout, so Redis has it.
    t.same(await next, ['lost'])
    t.same(logger.warnings, [AWAY])
  })

  t.test('Should give a gap where it comes back without its data', async (t) => {
    const { redis, log, logger, reader, next } = await openLog(t, {}, {})
    const id = await log.append('second')
    t.same(await next, ['second'])
    await redis.kill()
    await logger.until(({ warnings }) => warnings.length > 0)
    await redis.start()
    const [gap] = await reader.takeEvents(1)
    t.match(gap, { type: 'gap', data: JSON.stringify({ lastEventId: id, oldest: null }) })
    await log.append('third')
    t.same(await reader.take(1), ['third'])
    t.same(logger.warnings, [AWAY])
  })

  t.test('Should go on after a gap where the clock of the Redis that comes back is behind', async (t) => {
    const { redis, client, log, logger, next, reader } = await openLog(t, {}, {})
    await client.xAdd('log', '99999999999999-0', { text: 'future' })
    t.same(await next, ['future'])
    await redis.kill()
    await logger.until(({ warnings }) => warnings.length > 0)
    await redis.start()
    t.same(await reader.take(1), ['gap'])
    await log.append('second')
    t.same(await reader.take(1), ['second'])
  })

  t.test('Should read a page again that it did not get', async (t) => {
    const { redis, log, ids, logger } = await openPages(t)
    const reader = new PullClient(t, log.after(ids[10]))
    t.same(await reader.take(64), numbers(11, 64))
    await redis.kill()
    const more = reader.take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    await redis.start()
    t.same(await more, [75])
  })

  t.test('Should let readers leave who wait for a page, or for the newest', async (t) => {
    const { redis, client, log, ids, logger } = await openPages(t)
    const reader = new PullClient(t, log.after(ids[10]))
    await reader.take(64)
    await redis.kill()
    client.destroy()
    const page = reader.take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    const fresh = new PullClient(t, new RedisEventLog({ client, key: 'other', logger }).after())
    const newest = fresh.take(1)
    // The loop ends when both reads have been refused once.
    for (let i = 0; i < 10; i++) await new Promise((resolve) => { setImmediate(resolve) })
    await Promise.all([reader.leave(), fresh.leave()])
    t.same(await Promise.all([page, newest]), [[], []])
    await new Promise((resolve) => { setTimeout(resolve, 700) })
    t.same(logger.warnings, [AWAY])
  })

  t.test('Should log that a log cannot be read from the start, and read it when it can', async (t) => {
    const redis = await RedisServer.start(t)
    const client = redis.createClient(t)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    const next = new PullClient(t, log.after()).take(1)
    await t.rejects(log.append(0), {
        code: 'FST_SSE_LOG_UNAVAILABLE', message: /the log does not have it/, cause: { message: /closed/ }
      })
    await logger.until(({ warnings }) => warnings.length > 0)
    t.match(logger.details[0], { key: 'log', err: { message: /closed/ } })
    await client.connect()
    await logger.until(({ infos }) => infos.length > 0)
    await log.append(1)
    t.same(await next, [1])
    t.same([logger.warnings, logger.infos], [[ONE_AWAY], [ONE_BACK]])
  })

  t.test('Should wait while its client is closed, and go on when it is connected again', async (t) => {
    for (const close of [(client: Client) => client.close(), async (client: Client) => client.destroy()]) {
      const { redis, client, log, logger, next } = await openLog(t)
      await close(client)
      await t.rejects(log.append(1), {
        code: 'FST_SSE_LOG_UNAVAILABLE', message: /the log does not have it/, cause: { message: /closed/ }
      })
      await logger.until(({ warnings }) => warnings.length > 0)
      const watch = await RedisWatch.open(t, redis)
      while (await watch.connections() > 1);
      await client.connect()
      await logger.until(({ infos }) => infos.length > 0)
      await log.append(2)
      t.same(await next, [2])
      t.same(logger.warnings, [AWAY])
    }
  })

  t.test('Should keep no connection where its client is closed while it connects', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    meanwhile(client, () => client.destroy())
    void new PullClient(t, log.after()).take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    t.match(logger.details[0]?.err, { message: 'its client was closed' })
    while (await watch.connections() > 0);
  })

  t.test('Should log nothing, and read nothing, where the last reader leaves while it connects', async (t) => {
    const redis = await RedisServer.start(t)
    const watch = await RedisWatch.open(t, redis)
    const client = await redis.connect(t)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    const reader = new PullClient(t, log.after())
    const connected = meanwhile(client, () => reader.leave())
    const left = reader.take(1)
    t.same(await left, [])
    await connected
    t.equal(await watch.calls('xread'), 0)
    client.destroy()
    while (await watch.connections() > 0);
    t.same(logger.warnings, [])
  })

  t.test('Should give up to connect to what takes connections and says nothing', async (t) => {
    const redis = await RedisServer.start(t)
    const client = await redis.connect(t)
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    meanwhile(client, () => redis.freeze())
    t.teardown(() => redis.thaw())
    const next = new PullClient(t, log.after()).take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    t.same(logger.warnings, [AWAY])
    redis.thaw()
    await logger.until(({ infos }) => infos.length > 0)
    await log.append(1)
    t.same(await next, [1])
  })

  t.test('Should log nothing where the client is closed when nobody listens any more', async (t) => {
    const { redis, client, logger, reader } = await openLog(t)
    const watch = await RedisWatch.open(t, redis)
    await reader.leave()
    client.destroy()
    while (await watch.connections() > 1);
    t.same(logger.warnings, [])
  })

  t.test('Should read the others where a key becomes something else', async (t) => {
    const { client, log, logger, next, reader } = await openLog(t)
    const other = new RedisEventLog({ client, key: 'other', logger, from: 'start' })
    await other.append(1)
    const disturbed = new PullClient(t, other.after())
    t.same(await disturbed.take(1), [1])
    const more = disturbed.take(1)
    await log.append(2)
    t.same(await next, [2])
    await client.set('other', 'a string')
    await log.append(3)
    t.same(await reader.take(1), [3])
    await logger.until(({ warnings }) => warnings.includes(ONE_AWAY))
    t.match(logger.details.at(-1), { key: 'other', err: { message: /WRONGTYPE/ } })
    await log.append(4)
    t.same(await reader.take(1), [4])
    await t.rejects(other.append(0), {
      code: 'FST_SSE_LOG_UNAVAILABLE', message: /the log does not have it/, cause: { message: /WRONGTYPE/ }
    })
    await client.del('other')
    await logger.until(({ infos }) => infos.includes(ONE_BACK))
    t.same(await more, ['gap'])
    t.same(logger.warnings, [AWAY, ONE_AWAY])
  })

  t.test('Should warn of the process where no logger is given', async (t) => {
    const warning = once(process, 'warning')
    const { redis, client, next } = await openLog(t, { logger: undefined })
    await redis.kill()
    const [{ message }] = await warning
    t.match(message, `${AWAY}: Error: `)
    await redis.start()
    await new RedisEventLog({ client, key: 'log' }).append(1)
    t.same(await next, [1])
  })

  t.test('Should not keep a process that has nothing else to do', async (t) => {
    const redis = await RedisServer.start(t)
    for (const ending of ['client.unref()', 'await client.close()', 'client.destroy()']) {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', `
        import { createClient } from 'redis'
        import { RedisEventLog } from 'fastify-rxjs-sse/redis'
        const client = await createClient({ url: '${redis.url}' }).connect()
        const log = new RedisEventLog({ client, key: 'log', from: 'start' })
        await log.append('a')
        for await (const { data } of log.after()) {
          console.log(data)
          if (data === 'b') break
          await new Promise((resolve) => { setTimeout(resolve, 100) })
          await log.append('b')
        }
        ${ending}
      `], { stdio: ['ignore', 'pipe', 'pipe'] })
      t.teardown(() => child.kill('SIGKILL'))
      const start = performance.now()
      const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
      t.match(output, /^a\n(?:.\n)*b\n$/)
      t.same([errors, code], ['', 0], ending)
      t.ok(performance.now() - start < 4_000, `${ending}: sooner than a read ends`)
      await (await redis.connect(t)).del('log')
    }
  })
})

interface Pages extends Omit<OpenLog, 'reader' | 'next'> {
  readonly ids: readonly string[]
}

/** Opens a log with 300 events that a reader has read, and with a ring that holds few of them. */
async function openPages (t: Test): Promise<Pages> {
  const { next, reader, ...opened } = await openLog(t, { maxBytes: 1_000 })
  const ids = await Promise.all(numbers(0, 300).map((number) => opened.log.append(number)))
  t.same(await next, [0])
  t.same(await reader.take(299), numbers(1, 299))
  return { ...opened, ids }
}

/** Calls `run` when the log begins to open its connection. Resolves when that has been opened, or has failed. */
function meanwhile (client: Client, run: () => unknown): Promise<void> {
  const duplicate = client.duplicate.bind(client)
  return new Promise((resolve) => {
    Object.assign(client, {
      duplicate (overrides: object) {
        const connection = duplicate(overrides)
        const connect = connection.connect.bind(connection)
        Object.assign(client, { duplicate })
        return Object.assign(connection, {
          async connect () {
            await run()
            try {
              return await connect()
            } finally {
              setImmediate(resolve)
            }
          }
        })
      }
    })
  })
}
