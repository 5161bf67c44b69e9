import { setTimeout } from 'node:timers/promises'
import { createClient } from 'redis'
import t from 'tap'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import { PullClient, RecordingLogger } from '../../fixtures/log-pull-client.ts'
import { RedisServer } from '../../fixtures/redis.ts'
import type { Client } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'

t.test('A log on a Redis that does not let it', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should be tried more and more seldom, and logged once, where it may not be read', async (t) => {
    const redis = await RedisServer.start(t)
    const admin = await redis.connect(t)
    await admin.sendCommand(['ACL', 'SETUSER', 'bob', 'on', '>secret', '~log*', '+@all'])
    const client = createClient({ url: redis.url.replace('redis://', 'redis://bob:secret@') }) as Client
    t.teardown(() => client.destroy())
    await client.connect()
    const logger = new RecordingLogger()
    const log = new RedisEventLog({ client, key: 'log', logger })
    const next = new PullClient(t, log.after()).take(1)
    await logger.until(({ warnings }) => warnings.length > 0)
    t.match(logger.details[0], { err: { message: /NOPERM/ } })
    await log.append('missed by nobody')
    await admin.configResetStat()
    await setTimeout(2_000)
    const [, connections = ''] = /total_connections_received:(\d+)/.exec(await admin.info('stats')) ?? []
    t.ok(Number(connections) <= 8, `${connections} connections in two seconds`)
    t.same([logger.warnings.length, logger.infos.length], [1, 0])
    await admin.sendCommand(['ACL', 'SETUSER', 'bob', '~fastify-rxjs-sse:*'])
    t.same(await next, ['missed by nobody'])
    await logger.until(({ infos }) => infos.length > 0)
    t.same([logger.warnings.length, logger.infos.length], [1, 1])
  })
})
