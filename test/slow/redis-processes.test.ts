import t from 'tap'
import { LogCluster } from '../fixtures/log-cluster.ts'
import { isMissing } from '../fixtures/tool.ts'

t.setTimeout(480_000)

/** One takes a quarter of a minute on two quiet cores, of which seven processes want a part. */
const TIMEOUT = { timeout: 180_000 }

const CLIENTS = 300
const EVENTS = 20_000
const FLAWLESS = { missing: 0, repeated: 0, disordered: 0, gaps: 0 }

t.test('Three servers of one log on Redis', { skip: isMissing('redis-server') }, async (t) => {
  t.test('Should give each event once and in order to clients that are cut off and come back to another', TIMEOUT, async (t) => {
    const cluster = await LogCluster.start(t, { clients: CLIENTS })
    await cluster.append(EVENTS)
    const result = await cluster.finish()
    t.match(result, { ...FLAWLESS, unacknowledged: 0 })
    t.ok(result.returns > CLIENTS, `clients came back ${result.returns} times`)
  })

  t.test('Should lose no event that Redis had acknowledged when Redis and one of the servers are killed', TIMEOUT, async (t) => {
    const cluster = await LogCluster.start(t, { clients: CLIENTS, isDurable: true })
    await cluster.appendWhileKilled(EVENTS)
    const result = await cluster.finish()
    t.match(result, FLAWLESS)
    t.ok(result.unacknowledged > 0)
    t.ok(result.returns > CLIENTS, `clients came back ${result.returns} times`)
  })
})
