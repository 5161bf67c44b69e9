import type { FastifyReply } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { buildApp, parse } from '../fixtures/app.ts'

/** The answer of a route that calls `reply.sse()` after `prepare`. */
async function answer (t: Test, prepare: (reply: FastifyReply) => void) {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => {
    prepare(reply)
    return reply.sse(of('hello'))
  })
  return await app.inject('/')
}

t.test('Should say that it is an event stream, which nothing keeps or changes', async (t) => {
  const { statusCode, headers } = await answer(t, () => {})
  t.equal(statusCode, 200)
  t.equal(headers['content-type'], 'text/event-stream')
  t.equal(headers['cache-control'], 'no-cache, no-transform')
  t.equal(headers['x-accel-buffering'], 'no')
})

t.test('Should show hooks neither a connection nor a transfer-encoding, and no content-length', async (t) => {
  const app = await buildApp(t)
  let names: string[] = []
  app.addHook('onSend', async (_request, reply) => { names = Object.keys(reply.getHeaders()) })
  app.get('/', (_request, reply) => reply.header('content-length', 2).sse(of('hello')))
  await app.inject('/')
  t.same(names.toSorted(), ['cache-control', 'content-type', 'x-accel-buffering'])
})

t.test('Should leave the headers that the user has set', async (t) => {
  const { headers, payload } = await answer(t, (reply) => {
    reply.headers({ 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'yes', 'x-mine': 'a', 'set-cookie': ['a=1', 'b=2'] })
  })
  t.equal(headers['cache-control'], 'no-store')
  t.equal(headers['x-accel-buffering'], 'yes')
  t.equal(headers['x-mine'], 'a')
  t.same(headers['set-cookie'], ['a=1', 'b=2'])
  t.equal(headers['content-type'], 'text/event-stream')
  t.equal(parse(payload)[0]?.data, 'hello')
})

t.test('Should drop a content-length, as nobody knows it', async (t) => {
  const { headers, payload } = await answer(t, (reply) => { reply.header('content-length', 2) })
  t.notOk('content-length' in headers)
  t.equal(parse(payload)[0]?.data, 'hello')
})

t.test('Should leave an event stream\'s content type as the user wrote it', async (t) => {
  for (const type of ['text/event-stream', 'text/event-stream; charset=utf-8', 'Text/Event-Stream', 'text/event-stream ;a=b']) {
    const { statusCode, headers } = await answer(t, (reply) => { reply.header('content-type', type) })
    t.equal(statusCode, 200)
    t.match(String(headers['content-type']).toLowerCase(), /^text\/event-stream/)
  }
})

t.test('Should refuse another content type', async (t) => {
  for (const type of ['application/json', 'text/html; charset=utf-8', 'text/event-streams', 'text/plain; a=text/event-stream', 'x']) {
    const { statusCode, payload } = await answer(t, (reply) => { reply.header('content-type', type) })
    t.equal(statusCode, 500)
    t.match(JSON.parse(payload), { code: 'FST_SSE_CONTENT_TYPE', message: new RegExp(`it is '${type}.*remove that header`) })
  }
})

t.test('Should keep a status that allows a body', async (t) => {
  for (const code of [200, 201, 202, 206, 299, 404, 503]) {
    const { statusCode, payload } = await answer(t, (reply) => { reply.code(code) })
    t.equal(statusCode, code)
    t.equal(parse(payload)[0]?.data, 'hello')
  }
})

t.test('Should refuse a status that allows none', async (t) => {
  for (const code of [100, 101, 103, 199, 204, 205, 304]) {
    const { statusCode, payload } = await answer(t, (reply) => { reply.code(code) })
    t.equal(statusCode, 500)
    t.match(JSON.parse(payload), { code: 'FST_SSE_STATUS_CODE', message: new RegExp(`; ${code} does not: use 200`) })
  }
})
