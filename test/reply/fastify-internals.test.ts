import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import sse from '../../index.ts'
import { Probe, RawClient, listen } from '../fixtures/app.ts'

/** An application that refuses a `preClose` hook within `onReady`, as Fastify does before 5.12.1. */
function buildStrict (t: Test): FastifyInstance {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const { addHook } = app
  let isReady = false
  app.addHook('onReady', async () => { isReady = true })
  app.addHook = function (this: unknown, ...args: Parameters<typeof addHook>) {
    if (isReady) throw Object.assign(new Error('Root plugin has already booted'), { code: 'AVV_ERR_ROOT_PLG_BOOTED' })
    return Reflect.apply(addHook, this, args)
  } as typeof addHook
  return app
}

t.test('Should end the streams after the preClose hooks of an application that takes none within onReady', { timeout: 5000 }, async (t) => {
  const app = buildStrict(t)
  await app.register(sse)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  app.addHook('preClose', async () => { probe.next('bye') })
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await probe.until(({ subscribed }) => subscribed === 1)
  await client.until(/:\n\n/)
  await app.close()
  t.equal(probe.unsubscribed, 1)
  await client.until(/data: bye\n\n\r\n0\r\n\r\n$/)
})
