import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { SseSource } from '../../index.ts'
import { Probe, RawClient, buildApp, listen, portOf } from '../fixtures/app.ts'
import { deferred, immediate } from '../fixtures/one-route.ts'
import { Recorder } from '../fixtures/recorder.ts'
import { Closings, Reader } from '../fixtures/slow.ts'

interface PlatformSubscriber {
  readonly active: boolean
  next (value: unknown): void
  error (error: unknown): void
  complete (): void
  addTeardown (teardown: () => void): void
}

interface PlatformObservable {
  subscribe (observer: object, options?: object): void
}

// The compiler cannot resolve a name of type `string`: the type declarations of this package do not compile.
const polyfill: string = 'observable-polyfill/fn'
const { Observable } = await import(polyfill) as {
  Observable: new (start: (subscriber: PlatformSubscriber) => void) => PlatformObservable
}

function of (...values: unknown[]): PlatformObservable {
  return new Observable((subscriber) => {
    for (const value of values) subscriber.next(value)
    subscriber.complete()
  })
}

/** Makes an Observable of the platform that subscribes to the source of a probe, once for each observer. */
function observe (probe: Probe): PlatformObservable {
  return new Observable((subscriber) => {
    const subscription = probe.source.subscribe({
      next: (value) => subscriber.next(value),
      error: (error) => subscriber.error(error),
      complete: () => subscriber.complete()
    })
    subscriber.addTeardown(() => subscription.unsubscribe())
  })
}

/** The ways in which a route streams a source. */
const ROUTES: Readonly<Record<string, (app: FastifyInstance, source: () => SseSource) => void>> = {
  'reply.sse()': (app, source) => app.get('/', (_request, reply) => reply.sse(source())),
  'a route with the option sse': (app, source) => app.get('/', { sse: true }, source),
  'a factory': (app, source) => app.get('/', (_request, reply) => reply.sse(() => source() as PlatformObservable))
}

/** Serves one route; `atClose` is how often the probe had been unsubscribed from when `close` had just fired. */
async function serve (
  t: Test, addRoute: (app: FastifyInstance, source: () => SseSource) => void, source: () => SseSource, probe = new Probe()
) {
  const closings = new Closings()
  const app = await buildApp(t, { onClose: closings.onClose })
  const { promise: atClose, resolve } = deferred<number>()
  // The hook runs after reply.sse(), so that its listener is called after that of the stream.
  app.addHook('onSend', (_request, reply, payload, done) => {
    reply.raw.once('close', () => resolve(probe.unsubscribed))
    done(null, payload)
  })
  addRoute(app, source)
  await listen(app)
  return { app, closings, atClose }
}

t.test('Should stream an Observable of the platform, a promise of it, and what a factory makes of it', async (t) => {
  const sources: Readonly<Record<string, unknown>> = {
    itself: of(1, 2),
    promise: Promise.resolve(of(1, 2)),
    factory: () => of(1, 2),
    'async factory': async () => of(1, 2)
  }
  for (const [kind, source] of Object.entries(sources)) {
    t.same(await new Recorder(source).ended, ['next 1', 'next 2', 'complete'], kind)
  }
})

for (const [name, addRoute] of Object.entries(ROUTES)) {
  t.test(`Should stream a cold one to its end: ${name}`, async (t) => {
    let started = 0
    const { app, closings } = await serve(t, addRoute, () => new Observable((subscriber) => {
      started++
      subscriber.next({ data: { n: 1 }, id: 'a' })
      setImmediate(() => {
        subscriber.next('late')
        subscriber.complete()
      })
    }))
    const client = await Reader.open(t, portOf(app))
    await client.readAll()
    t.match(client.events, [{ data: '{"n":1}', id: 'a' }, { data: 'late' }])
    t.equal(client.isComplete, true)
    t.match(await closings.first(), { reason: 'complete', events: 2 })
    t.equal(started, 1)
  })

  t.test(`Should stream a hot one to several clients: ${name}`, async (t) => {
    const probe = new Probe()
    const hot = observe(probe)
    const { app } = await serve(t, addRoute, () => hot)
    const clients = await Promise.all([1, 2, 3].map(() => Reader.open(t, portOf(app))))
    probe.next('one')
    probe.next('two')
    for (const client of clients) {
      await client.until(({ events }) => events.length === 2)
      t.same(client.data, ['one', 'two'])
    }
  })

  t.test(`Should unsubscribe in the turn in which the client leaves: ${name}`, async (t) => {
    const probe = new Probe()
    const { app, closings, atClose } = await serve(t, addRoute, () => observe(probe), probe)
    const client = new RawClient(app)
    client.get('/')
    await client.until(/\r\n\r\n/)
    t.equal(probe.subscribed, 1)
    client.socket.destroy()
    t.equal(await atClose, 1)
    await immediate()
    t.same([probe.unsubscribed, closings.reasons, app.sse.size], [1, ['client'], 0])
  })

  t.test(`Should answer by the error handler what fails before the head has left: ${name}`, async (t) => {
    const teapot = Object.assign(new Error('short and stout'), { statusCode: 418 })
    for (const start of [
      (subscriber: PlatformSubscriber) => subscriber.error(teapot),
      () => { throw teapot }
    ]) {
      const { app, closings } = await serve(t, addRoute, () => new Observable(start))
      const response = await app.inject('/')
      t.match([response.statusCode, response.json()], [418, { message: 'short and stout' }])
      t.same([closings.reasons, app.sse.size], [[], 0])
    }
  })

  t.test(`Should break the stream of what fails later: ${name}`, async (t) => {
    const probe = new Probe()
    const { app, closings } = await serve(t, addRoute, () => observe(probe))
    const client = await Reader.open(t, portOf(app))
    probe.next('good')
    probe.error(new Error('midway'))
    await client.readAll()
    t.same([client.data, client.isComplete], [['good'], false])
    t.match(await closings.first(), { reason: 'error', error: { message: 'midway' }, events: 1 })
    t.equal(probe.unsubscribed, 1)
  })
}

t.test('Should show a synchronous one that its stream has ended', async (t) => {
  let emitted = 0
  const { app, closings } = await serve(t, (app, source) => app.get('/', (_request, reply) => reply.sse(source())), () => new Observable((subscriber) => {
    while (subscriber.active && emitted < 1000) subscriber.next(++emitted < 3 ? 'good' : () => {})
  }))
  const client = await Reader.open(t, portOf(app))
  await client.readAll()
  t.same(client.data, ['good', 'good'])
  t.match(await closings.first(), { reason: 'error', error: { code: 'FST_SSE_INVALID_MESSAGE' } })
  t.equal(emitted, 3)
})

t.test('Should not subscribe for HEAD, nor where the signal has fired, nor in a factory that ends its own stream', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(observe(probe)))
  app.get('/fired', (_request, reply) => reply.sse(observe(probe), { signal: AbortSignal.abort() }))
  app.get('/factory', (_request, reply) => {
    const controller = new AbortController()
    return reply.sse(() => {
      controller.abort()
      return observe(probe)
    }, { signal: controller.signal })
  })
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200)
  for (const url of ['/fired', '/factory']) t.equal((await app.inject(url)).statusCode, 200)
  t.equal(probe.subscribed, 0)
})

t.test('Should refuse one as the answer of a route without the option sse, instead of sending {}', async (t) => {
  const app = await buildApp(t)
  app.get('/returned', () => of(1))
  app.get('/resolved', async () => of(1))
  app.get('/sent', (_request, reply) => reply.send(of(1)))
  for (const url of ['/returned', '/resolved', '/sent']) {
    const { statusCode, payload } = await app.inject(url)
    t.match([statusCode, JSON.parse(payload)], [500, { code: 'FST_SSE_NOT_A_STREAM_ROUTE', message: /^The answer is an Observable,/ }], url)
  }
})
