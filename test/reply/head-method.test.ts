import { PassThrough, pipeline } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { Probe, RawClient, buildApp, isStream, listen } from '../fixtures/app.ts'
import { fetch } from '../fixtures/waits.ts'

const HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' }

/** What a user may have set; a length is none of a stream's. */
function mine (reply: FastifyReply): FastifyReply {
  return reply.code(202).header('x-mine', 'mine').header('content-length', '12')
}

/** Streams an Observable, one of a factory and a promise on each kind of HEAD route. */
async function buildRoutes (t: Test): Promise<{ app: FastifyInstance, probe: Probe, paths: string[] }> {
  const callback = (): never => t.fail('it must not be called') as never
  const app = await buildApp(t, { onOpen: callback, onClose: callback })
  const probe = new Probe()
  const source = probe.source
  const sources = { observable: () => source, factory: () => callback, promise: () => Promise.resolve(source), first: () => source }
  for (const [name, makeSource] of Object.entries(sources)) {
    const options = { open: name === 'first' ? 'first-event' : 'immediately' } as const
    app.get(`/${name}/automatic`, (_request, reply) => mine(reply).sse(makeSource(), options))
    app.get(`/${name}/async`, async (_request, reply) => {
      mine(reply).sse(makeSource(), options)
    })
    app.get(`/${name}/late`, async (_request, reply) => {
      mine(reply).sse(makeSource(), options)
      throw new Error('late')
    })
    app.head(`/${name}/explicit`, (_request, reply) => mine(reply).sse(makeSource(), options))
    app.route({
      method: ['GET', 'HEAD'],
      url: `/${name}/both`,
      handler: (_request, reply) => { mine(reply).sse(makeSource(), options) }
    })
  }
  const paths = Object.keys(sources).flatMap((name) => ['automatic', 'async', 'late', 'explicit', 'both'].map((kind) => `/${name}/${kind}`))
  return { app, probe, paths }
}

t.test('Should answer HEAD with the head alone, and never subscribe', async (t) => {
  const { app, probe, paths } = await buildRoutes(t)
  await listen(app)
  for (const path of paths) {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.socket.write(`HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /missing HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await client.until(/HTTP\/1.1 404 /)
    const [head = '', rest = ''] = client.text.split(/\r\n\r\n/)
    t.match(head, /^HTTP\/1.1 202 Accepted\r\n/, path)
    for (const [name, value] of Object.entries({ ...HEAD, 'x-mine': 'mine' })) t.match(head, `\r\n${name}: ${value}\r\n`)
    t.notMatch(head, /content-length/i)
    t.match(rest, /^HTTP\/1.1 404 /, 'nothing is between')
  }
  t.equal(probe.subscribed, 0)
  t.equal(app.sse.size, 0)
})

t.test('Should answer an injected HEAD', async (t) => {
  const { app, probe, paths } = await buildRoutes(t)
  for (const url of paths) {
    const response = await app.inject({ method: 'HEAD', url })
    t.equal(response.statusCode, 202, url)
    t.match(response.headers, { ...HEAD, 'x-mine': 'mine', 'content-length': undefined })
    t.equal(response.payload, '')
  }
  t.equal(probe.subscribed, 0)
  t.equal(app.sse.size, 0)
})

t.test('Should run the hooks for HEAD, and answer when an onSend hook fails', async (t) => {
  const { app, probe, paths } = await buildRoutes(t)
  let isFailing = false
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('x-hook', 'ran')
    if (isFailing && typeof payload !== 'string') throw Object.assign(new Error('onSend'), { statusCode: 418 })
  })
  const url = await listen(app)
  for (const path of paths) {
    const response = await fetch(url + path, { method: 'HEAD' })
    t.equal(response.status, 202)
    t.equal(response.headers.get('x-hook'), 'ran')
  }
  isFailing = true
  for (const path of paths) {
    const response = await fetch(url + path, { method: 'HEAD' })
    t.equal(response.status, 418, path)
  }
  t.equal(probe.subscribed, 0)
})

for (const [what, prepare] of [
  ['trailers', (app: FastifyInstance) => {
    app.addHook('onRequest', async (_request, reply) => { reply.trailer('x-trailer', async () => 'unseen') })
  }],
  ['a stream that an onSend hook puts between', (app: FastifyInstance) => {
    app.addHook('onSend', async (_request, _reply, payload) => {
      return isStream(payload) ? pipeline(payload, new PassThrough(), () => {}) : payload
    })
  }]
] as const) {
  t.test(`Should answer HEAD with ${what}`, async (t) => {
    const { app, probe, paths } = await buildRoutes(t)
    prepare(app)
    const url = await listen(app)
    for (const path of paths) {
      const response = await fetch(url + path, { method: 'HEAD' })
      t.equal(response.status, 202, path)
      t.equal(await response.text(), '')
    }
    t.equal(probe.subscribed, 0)
  })
}

t.test('Should refuse for HEAD what it refuses for GET', async (t) => {
  const app = await buildApp(t)
  app.get('/option', (_request, reply) => reply.sse(new Probe().source, { heartbeat: -1 }))
  app.get('/source', (_request, reply) => reply.sse(12 as never))
  app.get('/type', (_request, reply) => reply.type('text/html').sse(new Probe().source))
  const url = await listen(app)
  for (const path of ['/option', '/source', '/type']) {
    t.equal((await fetch(url + path, { method: 'HEAD' })).status, 500)
  }
})
