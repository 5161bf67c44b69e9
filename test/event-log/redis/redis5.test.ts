import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type * as Redis from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import { PullClient, RecordingLogger, numbers } from '../../fixtures/log-pull-client.ts'
import { RedisServer, RedisWatch } from '../../fixtures/redis.ts'
import type { Client, ClientOptions } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'

t.setTimeout(60_000)

/** The oldest major version of the package `redis` that is served, under the name of its alias. */
const NAME = 'redis5'

async function connect (t: Pick<Test, 'teardown'>, redis: RedisServer, options: ClientOptions = {}): Promise<Client> {
  const { createClient } = await import(NAME) as typeof Redis
  const client = createClient({ url: redis.url, ...options as object }) as Client
  client.on('error', () => {})
  t.teardown(() => { if (client.isOpen) client.destroy() })
  await client.connect()
  return client
}

/** For a test's `skip`: the reason where the package is missing. Where `CI` is set, it must be there. */
function isUninstalled (): string | false {
  try {
    import.meta.resolve(NAME)
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    return `${NAME} is not installed`
  }
}

t.test('A log on a client of redis 5', { skip: isMissing('redis-server') || isUninstalled() }, async (t) => {
  for (const RESP of [2, 3] as const) {
    t.test(`Should be appended to, read and resumed, with RESP${RESP}`, async (t) => {
      const redis = await RedisServer.start(t)
      const client = await connect(t, redis, { RESP })
      const log = new RedisEventLog<number>({ client, key: '__proto__', maxBytes: 1_000, from: 'start' })
      const ids = await Promise.all(numbers(0, 300).map((number) => log.append({ data: number })))
      const live = new PullClient(t, log.after())
      t.same(await live.take(300), numbers(0, 300))
      const next = live.take(1)
      await (await RedisWatch.open(t, redis)).untilBlocked()
      await log.append(300)
      t.same(await next, [300])
      t.same(await new PullClient(t, log.after(ids[5])).take(295), numbers(6, 295))
      t.same(await new PullClient(t, log.after('1-1')).take(2), ['gap', 0])
    })
  }

  t.test('Should go on where it was after Redis was away', async (t) => {
    const redis = await RedisServer.start(t, { isDurable: true })
    const client = await connect(t, redis)
    const recorder = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger: recorder, appendTimeout: 300 })
    const next = new PullClient(t, log.after()).take(1)
    await (await RedisWatch.open(t, redis)).untilBlocked()
    await redis.kill()
    await t.rejects(log.append('lost'), { code: 'FST_SSE_LOG_UNAVAILABLE' })
    await recorder.until(({ warnings }) => warnings.length > 0)
    await redis.start()
    await recorder.until(({ infos }) => infos.length > 0)
    await log.append('found')
    t.same(await next, ['found'])
    t.same([recorder.warnings.length, recorder.infos.length], [1, 1])
  })

  // The last reader's leaving is what ended the process with redis 4.
  t.test('Should let the process end when the last reader has left', async (t) => {
    const redis = await RedisServer.start(t)
    const child = spawn(process.execPath, ['--input-type=module', '--eval', `
      import { createClient } from '${NAME}'
      import { RedisEventLog } from 'fastify-rxjs-sse/redis'
      const client = await createClient({ url: '${redis.url}' }).connect()
      const log = new RedisEventLog({ client, key: 'log', from: 'start' })
      await log.append('a')
      for await (const { data } of log.after()) {
        console.log(data)
        break
      }
      client.destroy()
    `], { stdio: ['ignore', 'pipe', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    t.same([output, errors, code], ['a\n', '', 0])
  })
})
