import { concat, interval, map, of, take, throwError } from 'rxjs'
import t from 'tap'
import { Probe, buildApp, parse } from '../fixtures/app.ts'
import { deferred, once, within } from '../fixtures/waits.ts'
import type { SseSummary } from '../../index.ts'

t.test('Should give the whole body of a stream that ends', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(interval(1).pipe(take(3), map((n) => ({ id: n, data: { n } })))))
  app.post('/', (request, reply) => reply.sse(of(request.body as string)))
  const response = await app.inject('/')
  t.equal(response.statusCode, 200)
  t.match(response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' })
  t.same(parse(response.payload).map(({ id, data }) => [id, data]), [['0', '{"n":0}'], ['1', '{"n":1}'], ['2', '{"n":2}']])
  const posted = await app.inject({ method: 'POST', url: '/', payload: 'a body', headers: { 'content-type': 'text/plain' } })
  t.same(parse(posted.payload).map(({ data }) => data), ['a body'])
  t.equal(app.sse.size, 0)
})

t.test('Should give the answer of the error handler', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(throwError(() => Object.assign(new Error('boom'), { statusCode: 422 }))))
  const response = await app.inject('/')
  t.equal(response.statusCode, 422)
  t.match(response.json(), { message: 'boom' })
})

t.test('Should give the events of an endless stream while it is open, and unsubscribe when the request is aborted', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  const { promise: closed, resolve: onClose } = deferred<SseSummary>()
  app.get('/', (_request, reply) => reply.sse(concat(of('first'), probe.source), { onClose }))
  const controller = new AbortController()
  const response = await app.inject({ url: '/', payloadAsStream: true, signal: controller.signal })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/event-stream')
  const body = response.stream().setEncoding('utf8').on('error', () => {})
  t.match(String((await once(body, 'data'))[0]), 'data: first\n\n')
  probe.next('second')
  t.match(String((await once(body, 'data'))[0]), 'data: second\n\n')
  t.equal(app.sse.size, 1)
  controller.abort()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.match(await within(closed, 'onClose'), { reason: 'client', events: 2 })
  t.equal(app.sse.size, 0)
})

t.test('Should see an open stream before its first event, and its end at app.close()', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await app.inject({ url: '/', payloadAsStream: true })
  t.equal(response.statusCode, 200)
  const body = response.stream().setEncoding('utf8')
  t.equal(String((await once(body, 'data'))[0]), ':\n\n')
  t.equal(probe.subscribed, 1)
  const ended = once(body, 'end')
  await app.close()
  t.equal(probe.unsubscribed, 1)
  await ended
})

// inject() does not tell the response that nobody reads its body any more.
t.test('Should unsubscribe at app.close() when the reader of the body has left', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await app.inject({ url: '/', payloadAsStream: true })
  for await (const chunk of response.stream()) {
    t.equal(String(chunk), ':\n\n')
    break
  }
  probe.next('unseen')
  await app.close()
  t.equal(probe.unsubscribed, 1)
})

t.test('Should give an endless stream that completes in the end', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  const { promise: closed, resolve: onClose } = deferred<SseSummary>()
  app.get('/', (_request, reply) => reply.sse(probe.source, { onClose }))
  const response = await app.inject({ url: '/', payloadAsStream: true })
  probe.next('a')
  probe.next('b')
  probe.complete()
  let text = ''
  for await (const chunk of response.stream().setEncoding('utf8')) text += chunk
  t.same(parse(text).map(({ data }) => data), ['a', 'b'])
  t.match(await within(closed, 'onClose'), { reason: 'complete', events: 2 })
  t.equal(app.sse.size, 0)
})
