import { of } from 'rxjs'
import t from 'tap'
import { buildApp, listen } from '../fixtures/app.ts'
import { fetch, immediate } from '../fixtures/waits.ts'

// Before 5.12.8 the second answer was an unhandled rejection, which ends the process.
t.test('Should answer HEAD once when an onSend hook fails, whatever an async handler does', async (t) => {
  const app = await buildApp(t)
  const sent: unknown[] = []
  app.addHook('onSend', async (_request, _reply, payload) => {
    sent.push(typeof payload)
    if (typeof payload === 'object') throw Object.assign(new Error('onSend'), { statusCode: 418 })
    await immediate()
  })
  app.head('/nothing', async (_request, reply) => { reply.sse(of('a')) })
  app.head('/reply', async (_request, reply) => reply.sse(of('a')))
  app.head('/else', async (_request, reply) => {
    reply.sse(of('a'))
    return { something: 'else' }
  })
  app.head('/late', async (_request, reply) => {
    reply.sse(of('a'))
    throw new Error('late')
  })
  const url = await listen(app)
  for (const path of ['/nothing', '/reply', '/else', '/late']) {
    t.equal((await fetch(url + path, { method: 'HEAD' })).status, 418, path)
    await immediate()
    t.same(sent.splice(0), ['object', 'string'], `${path}: the payload, and the error in its place`)
  }
})
