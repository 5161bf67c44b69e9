import { Readable } from 'node:stream'
import { EventSource } from 'eventsource'
import { NEVER, concat, interval, of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SsePluginOptions, SseSource } from '../../index.ts'
import { Probe, buildApp, listen, portOf } from '../fixtures/app.ts'
import { CLOSED, CONNECTING, EventSourceLog, observe } from '../fixtures/event-source.ts'
import { Closings, Reader } from '../fixtures/slow.ts'

/** A server that streams a probe at `/`, or what is given. */
async function serve (t: Test, options: SsePluginOptions, source?: SseSource, call: SseOptions = {}) {
  const probe = new Probe()
  const closings = new Closings()
  const app = await buildApp(t, { onClose: closings.onClose, ...options })
  app.get('/', (_request, reply) => reply.sse(source ?? probe.source, call))
  const url = await listen(app)
  return { app, url, probe, closings, port: portOf(app) }
}

function connect (t: Test, url: string): EventSourceLog {
  const source = new EventSource(url)
  t.teardown(() => source.close())
  const fired = new EventSourceLog()
  observe(source, [], fired.add)
  return fired
}

/** Math.random() gives this until the test ends. */
function fixRandom (t: Test, value: number): void {
  const { random } = Math
  Math.random = () => value
  t.teardown(() => { Math.random = random })
}

for (const maxConnections of [1, { limit: 1 }, { limit: 1, answer: 'retry' }] as const) {
  t.test(`Should answer one too many with an empty stream and a time to come back: ${JSON.stringify(maxConnections)}`, async (t) => {
    let opened = 0
    const { app, probe, closings, port } = await serve(t, { maxConnections, onOpen: () => { opened++ } })
    const first = await Reader.open(t, port)
    const { statusCode, headers, payload } = await app.inject('/')
    t.same([statusCode, headers['content-type'], payload], [200, 'text/event-stream', 'retry: 3000\n\n'])
    t.same([app.sse.size, probe.subscribed, opened, closings.reasons], [1, 1, 1, []])

    first.response.destroy()
    await closings.first()
    const second = await Reader.open(t, port)
    probe.next('in')
    await second.until(({ events }) => events.length === 1)
    t.same([app.sse.size, probe.subscribed, opened], [1, 2, 2])
  })
}

t.test('Should answer one too many with the time that was given', async (t) => {
  const { app } = await serve(t, { maxConnections: 0, retry: 10_000 })
  t.equal((await app.inject('/')).payload, 'retry: 10000\n\n')
})

t.test('Should tell each client the normal time, as browsers keep what they were told', async (t) => {
  const { app } = await serve(t, { maxConnections: 2 }, of('hello'))
  t.equal((await app.inject('/')).payload, 'retry: 3000\n\ndata: hello\n\n')
  const { app: other } = await serve(t, { maxConnections: { limit: 2, answer: 503 } }, of('hello'))
  t.equal((await other.inject('/')).payload, ':\n\ndata: hello\n\n')
})

t.test('Should let an EventSource in once there is room', async (t) => {
  const { url, port, probe, app } = await serve(t, { maxConnections: 1, retry: 10 }, undefined)
  const first = await Reader.open(t, port)
  const fired = connect(t, url)
  await fired.until(({ errors }) => errors.length === 3)
  t.same(fired.errors, [CONNECTING, CONNECTING, CONNECTING])
  t.same([probe.subscribed, app.sse.size], [1, 1])
  first.response.destroy()
  await probe.until(({ subscribed }) => subscribed === 2)
  probe.next('in')
  await fired.until(({ events }) => events.length === 1)
  t.same(fired.events, [['message', 'in']])
})

t.test('Should answer one too many by the error handler, after which an EventSource gives up', async (t) => {
  const { app, url, port, probe, closings } = await serve(t, { maxConnections: { limit: 1, answer: 503 } })
  await Reader.open(t, port)
  const response = await app.inject('/')
  t.equal(response.statusCode, 503)
  t.match(response.json(), { code: 'FST_SSE_MAX_CONNECTIONS', message: /"maxConnections" allows, which is 1; try again later/ })
  const fired = connect(t, url)
  await fired.until(({ errors }) => errors.length === 1)
  t.same(fired.errors, [CLOSED])
  t.same([app.sse.size, probe.subscribed, closings.reasons], [1, 1, []])
})

t.test('Should let the application answer one too many', async (t) => {
  const app = await buildApp(t, { maxConnections: { limit: 0, answer: 503 } })
  app.setErrorHandler<Error & { code: string }>((error, _request, reply) => reply.code(429).header('retry-after', 5).send(error.code))
  app.get('/', (_request, reply) => reply.sse(NEVER))
  const { statusCode, headers, payload } = await app.inject('/')
  t.same([statusCode, headers['retry-after'], payload], [429, '5', 'FST_SSE_MAX_CONNECTIONS'])
})

for (const answer of ['retry', 503] as const) {
  t.test(`Should let go of the source of one too many (${answer})`, async (t) => {
    const source = new Readable({ objectMode: true, read () {} })
    let called = 0
    const app = await buildApp(t, { maxConnections: { limit: 0, answer } })
    app.get('/stream', (_request, reply) => reply.sse(source))
    app.get('/factory', (_request, reply) => reply.sse(() => {
      called++
      return NEVER
    }))
    app.get('/promise', (_request, reply) => reply.sse(Promise.reject<never>(new Error('nobody looks'))))
    for (const path of ['/stream', '/factory', '/promise']) t.equal((await app.inject(path)).statusCode, answer === 503 ? 503 : 200)
    t.same([source.destroyed, called, app.sse.size], [true, 0, 0])
  })
}

for (const [random, part] of [[0, 0.8], [1 - Number.EPSILON, 1]] as const) {
  t.test(`Should end a silent stream after ${part * 100} % of maxDuration, where chance is ${random}`, async (t) => {
    fixRandom(t, random)
    const { app, probe, closings, port } = await serve(t, { maxDuration: 500, heartbeat: false })
    const client = await Reader.open(t, port)
    await client.readAll()
    t.ok(client.isComplete, 'a clean end')
    const { reason, error, duration } = await closings.first()
    t.same([reason, error, probe.unsubscribed, app.sse.size], ['expired', undefined, 1, 0])
    // The clock of a timer has whole milliseconds, and the head leaves a turn after the call.
    t.ok(duration > 500 * part - 25 && duration < 500 * part + 80, `after ${duration} ms`)
  })
}

t.test('Should spread the ends of streams that began together', async (t) => {
  const { app, closings } = await serve(t, { maxDuration: 500 }, NEVER)
  await Promise.all(Array.from({ length: 100 }, () => app.inject('/')))
  const durations = closings.all.map(({ duration }) => duration).toSorted((a, b) => a - b)
  t.equal(durations.length, 100)
  t.ok(Number(durations.at(-1)) - Number(durations[0]) > 60, `from ${durations[0]} to ${durations.at(-1)} ms`)
})

t.test('Should end a stream that emits, after what was emitted', async (t) => {
  const { app, closings } = await serve(t, { maxDuration: 100 }, interval(1))
  const { payload } = await app.inject('/')
  const { reason, events } = await closings.first()
  t.equal(reason, 'expired')
  t.equal(payload.match(/data: /g)?.length, events)
})

t.test('Should end a stream whose head waits for the first event', async (t) => {
  const { app, closings } = await serve(t, { maxDuration: 50, open: 'first-event' }, NEVER)
  const { statusCode, payload } = await app.inject('/')
  t.same([statusCode, payload], [200, ':\n\n'])
  t.match(await closings.first(), { reason: 'expired', events: 0 })
})

t.test('Should let a finite stream come back that was not finished', async (t) => {
  const { app } = await serve(t, { maxDuration: 50, finite: true }, concat(of('begun'), NEVER))
  t.equal((await app.inject('/')).payload, ':\n\ndata: begun\n\n')
})

t.test('Should have an EventSource come back when its stream has expired', async (t) => {
  const { url, probe, closings } = await serve(t, { maxDuration: 50, retry: 1 })
  connect(t, url)
  await probe.until(({ subscribed }) => subscribed === 3)
  t.same(closings.reasons.slice(0, 2), ['expired', 'expired'])
})

t.test('Should not expire where the call says so', async (t) => {
  const closings = new Closings()
  const app = await buildApp(t, { maxDuration: 50, onClose: closings.onClose })
  app.get('/', (_request, reply) => reply.sse(NEVER))
  app.get('/forever', (_request, reply) => reply.sse(NEVER, { maxDuration: false }))
  await listen(app)
  const client = await Reader.open(t, portOf(app), '/forever')
  await app.inject('/')
  await app.inject('/')
  t.same([closings.reasons, client.isClosed, app.sse.size], [['expired', 'expired'], false, 1])
})
