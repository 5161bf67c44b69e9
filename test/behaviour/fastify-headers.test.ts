import type { FastifyInstance, FastifyReply } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import { Probe, RawClient, buildApp, isStream, listen, parse } from '../fixtures/app.ts'
import { fetch } from '../fixtures/waits.ts'

/** Three places where a user may say something about the head: on the reply, on Node's response, in an `onSend` hook. */
function addRoutes (app: FastifyInstance, name: string, value: string, source: Probe['source']): void {
  app.get('/reply', (_request, reply) => reply.header(name, value).sse(source))
  app.get('/raw', (_request, reply) => {
    reply.raw.setHeader(name, value)
    return reply.sse(source)
  })
  app.get('/hook', {
    onSend: async (_request, reply, payload) => { if (isStream(payload)) reply.header(name, value) }
  }, (_request, reply) => reply.sse(source))
}

const PLACES = ['/reply', '/raw', '/hook']

t.test('Should say that it is a stream, not to be kept, changed or collected', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(of('a')))
  const { status, headers, body } = await fetch(await listen(app))
  t.equal(status, 200)
  t.equal(headers.get('content-type'), 'text/event-stream')
  t.equal(headers.get('cache-control'), 'no-cache, no-transform')
  t.equal(headers.get('x-accel-buffering'), 'no')
  t.equal(headers.get('transfer-encoding'), 'chunked')
  t.equal(headers.get('content-length'), null)
  await body?.cancel()
})

for (const [name, value] of [
  ['cache-control', 'no-store'], ['x-accel-buffering', 'yes'], ['x-mine', 'mine'],
  ['content-type', 'text/event-stream; charset=utf-8'], ['content-type', 'Text/Event-Stream;charset=UTF-8']
] as const) {
  t.test(`Should leave ${name}: ${value} as the user has set it`, async (t) => {
    const app = await buildApp(t)
    addRoutes(app, name, value, of('a'))
    const url = await listen(app)
    for (const place of PLACES) {
      const response = await fetch(url + place)
      t.equal(response.status, 200, place)
      t.equal(response.headers.get(name), value, place)
      t.same(parse(await response.text()).map(({ data }) => data), ['a'])
    }
  })
}

t.test('Should refuse another content type', async (t) => {
  for (const type of ['application/json', 'text/event-stream-ish', 'text/html; charset=utf-8']) {
    const app = await buildApp(t)
    const probe = new Probe()
    addRoutes(app, 'content-type', type, probe.source)
    const url = await listen(app)
    for (const place of PLACES) {
      const response = await fetch(url + place)
      t.equal(response.status, 500, `${type} ${place}`)
      const { code, message } = await response.json() as { code: string, message: string }
      t.equal(code, 'FST_SSE_CONTENT_TYPE')
      t.match(message, `'${type}'`)
    }
    t.equal(probe.unsubscribed, probe.subscribed)
    t.equal(app.sse.size, 0)
  }
})

t.test('Should drop a content length', async (t) => {
  const app = await buildApp(t)
  addRoutes(app, 'content-length', '3', of('a', 'b'))
  const url = await listen(app)
  for (const place of PLACES) {
    const response = await fetch(url + place)
    t.equal(response.headers.get('content-length'), null, place)
    t.same(parse(await response.text()).map(({ data }) => data), ['a', 'b'], place)
  }
})

t.test('Should set neither connection nor transfer-encoding by hand', async (t) => {
  const app = await buildApp(t)
  const seen: unknown[] = []
  app.addHook('onSend', async (_request, reply) => { seen.push(reply.getHeaders()) })
  app.get('/', (_request, reply) => reply.sse(of('a')))
  await listen(app)
  const client = new RawClient(app)
  client.get('/', 'Connection: close')
  await client.until(/\r\n0\r\n\r\n$/)
  t.match(client.text, /\r\nconnection: close\r\n/i)
  t.same(seen, [{ 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' }])
})

t.test('Should keep a status that allows a body', async (t) => {
  const app = await buildApp(t)
  app.get('/:status', (request, reply) => reply.code(Number((request.params as { status: string }).status)).sse(of('a')))
  const url = await listen(app)
  for (const status of [200, 201, 202, 206, 404, 429, 503]) {
    const response = await fetch(`${url}/${status}`)
    t.equal(response.status, status)
    t.same(parse(await response.text()).map(({ data }) => data), ['a'])
  }
})

t.test('Should refuse a status that allows none', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  const stream = (reply: FastifyReply, status: number) => reply.code(status).sse(probe.source)
  app.get('/:status', async (request, reply) => stream(reply, Number((request.params as { status: string }).status)))
  const url = await listen(app)
  for (const status of [100, 101, 103, 199, 204, 205, 304]) {
    const response = await fetch(`${url}/${status}`)
    t.equal(response.status, 500)
    t.match(await response.json(), { code: 'FST_SSE_STATUS_CODE', message: `${status} does not` })
  }
  t.equal(probe.subscribed, 0)
})

t.test('Should refuse a status that allows none from an onSend hook', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  for (const status of [205, 304]) {
    app.get(`/${status}`, {
      onSend: async (_request, reply, payload) => { if (isStream(payload)) reply.code(status) }
    }, (_request, reply) => reply.sse(probe.source))
  }
  const url = await listen(app)
  for (const status of [205, 304]) {
    const response = await fetch(`${url}/${status}`)
    t.equal(response.status, 500)
    t.match(await response.json(), { code: 'FST_SSE_STATUS_CODE', message: `${status} does not` })
  }
  t.equal(probe.subscribed, 2)
  t.equal(probe.unsubscribed, 2)
  t.equal(app.sse.size, 0)
})

t.test('Should unsubscribe where an onSend hook makes a 204 of it, which Fastify answers by itself', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.addHook('onSend', async (_request, reply) => { reply.code(204) })
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await fetch(await listen(app))
  t.equal(response.status, 204)
  t.equal(await response.text(), '')
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})
