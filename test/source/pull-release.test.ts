import { once } from 'node:events'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SseSource } from '../../index.ts'
import { buildApp, listen, portOf } from '../fixtures/app.ts'
import { Closings, Reader } from '../fixtures/slow.ts'
import { deferred, immediate } from '../fixtures/one-route.ts'

const VALUE = 'x'.repeat(2 ** 15)

/** Counts what is done to a source. */
class Watch {
  asked = 0
  /** How often the source was released. */
  released = 0
  /** The value of `released` in the turn of the event loop in which the response emitted `close`. */
  atClose: number | null = null
}

/** Makes endless sources that count their releases. */
const KINDS: Readonly<Record<string, (watch: Watch) => SseSource>> = {
  'a generator': (watch) => (function * () {
    try {
      for (;;) {
        watch.asked++
        yield VALUE
      }
    } finally {
      watch.released++
    }
  })(),
  'an async generator': (watch) => (async function * () {
    try {
      for (;;) {
        watch.asked++
        yield VALUE
      }
    } finally {
      watch.released++
    }
  })(),
  'an async iterator': (watch) => asyncIterable({
    async next () {
      watch.asked++
      return { done: false, value: VALUE }
    },
    async return () {
      watch.released++
      return { done: true, value: undefined }
    }
  }),
  'an async iterator that is waited for': (watch) => asyncIterable({
    next () {
      if (watch.asked++ < 3) return Promise.resolve({ done: false, value: VALUE })
      return new Promise(() => {})
    },
    async return () {
      watch.released++
      return { done: true, value: undefined }
    }
  }),
  'a stream of objects': (watch) => new Readable({
    objectMode: true,
    read () {
      watch.asked++
      this.push(VALUE)
    },
    destroy (_error, callback) {
      watch.released++
      callback(null)
    }
  }),
  'a stream of objects that is waited for': (watch) => new Readable({
    objectMode: true,
    read () { if (watch.asked++ < 3) this.push(VALUE) },
    destroy (_error, callback) {
      watch.released++
      callback(null)
    }
  }),
  'a web stream': (watch) => new ReadableStream<string>({
    pull (controller) {
      watch.asked++
      controller.enqueue(VALUE)
    },
    cancel () { watch.released++ }
  }),
  'a web stream that is waited for': (watch) => new ReadableStream<string>({
    pull (controller) { if (watch.asked++ < 3) controller.enqueue(VALUE) },
    cancel () { watch.released++ }
  })
}

function asyncIterable (iterator: AsyncIterator<string>): AsyncIterable<string> {
  return { [Symbol.asyncIterator]: () => iterator }
}

/** Streams to one client, until the source is asked for no more values. */
async function stream (t: Test, make: (watch: Watch) => SseSource, options: SseOptions = {}) {
  const watch = new Watch()
  const closings = new Closings()
  const app = await buildApp(t)
  app.get('/', (_request, reply) => {
    reply.sse(make(watch), { onClose: closings.onClose, ...options })
    reply.raw.once('close', async () => {
      await microtasks()
      watch.atClose = watch.released
    })
    return reply
  })
  await listen(app)
  const client = await Reader.open(t, portOf(app))
  await client.read(VALUE.length)
  await settle(watch)
  return { app, watch, closings, client }
}

/** Lets microtasks run: an async generator runs its `finally` in one. */
async function microtasks (): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

async function settle (watch: Watch): Promise<void> {
  for (let asked = -1; asked !== watch.asked;) {
    asked = watch.asked
    for (let i = 0; i < 100; i++) await immediate()
  }
}

for (const [name, make] of Object.entries(KINDS)) {
  t.test(`Should release ${name} in the turn in which the client leaves, and never read it again`, async (t) => {
    const { app, watch, closings, client } = await stream(t, make)
    const { asked } = watch
    t.equal(watch.released, 0)
    client.response.destroy()
    t.equal((await closings.first()).reason, 'client')
    await settle(watch)
    t.same([watch.atClose, watch.released, watch.asked, app.sse.size], [1, 1, asked, 0])
  })

  t.test(`Should release ${name} in the turn in which its stream is aborted`, async (t) => {
    const controller = new AbortController()
    const { watch, closings, client } = await stream(t, make, { signal: controller.signal })
    const { asked } = watch
    controller.abort()
    await microtasks()
    t.equal(watch.released, 1)
    await client.readAll()
    t.ok(client.isComplete)
    t.equal((await closings.first()).reason, 'aborted')
    await settle(watch)
    t.same([watch.released, watch.asked], [1, asked])
  })
}

t.test('Should not ask a source that has ended to end', async (t) => {
  let returned = 0
  let left = 3
  const { closings, client } = await stream(t, () => asyncIterable({
    next: async () => left-- > 0 ? { done: false, value: VALUE } : { done: true, value: undefined },
    async return () {
      returned++
      return { done: true, value: undefined }
    }
  }))
  await client.readAll()
  t.equal((await closings.first()).reason, 'complete')
  t.equal(returned, 0)
})

t.test('Should end a generator that waits by the signal of its factory', async (t) => {
  let finalised = 0
  const { promise, resolve } = deferred<void>()
  const { client, closings } = await stream(t, () => ({ signal }) => (async function * () {
    try {
      for (let i = 0; i < 3; i++) yield VALUE
      await setTimeout(60_000, null, { signal })
      yield 'never'
    } finally {
      finalised++
      resolve()
    }
  })())
  t.equal(finalised, 0)
  client.response.destroy()
  t.equal((await closings.first()).reason, 'client')
  await promise
  t.equal(finalised, 1)
})

t.test('Should drop what a generator still yields that was being waited for when the client left', async (t) => {
  let give: (() => void) | undefined
  let finalised = 0
  const { client, closings } = await stream(t, () => (async function * () {
    try {
      for (let i = 0; i < 3; i++) yield VALUE
      await new Promise<void>((resolve) => { give = resolve })
      yield 'late'
      finalised = -1
    } finally {
      finalised++
    }
  })())
  client.response.destroy()
  const { events } = await closings.first()
  t.same([events, finalised], [3, 0])
  give?.()
  await immediate()
  t.equal(finalised, 1, 'it ends at its next yield')
})

function fail (): never {
  throw new Error('no such kind')
}

t.test('Should cancel an eager source that nobody will read', async (t) => {
  const app = await buildApp(t)
  const watch = new Watch()
  let make = KINDS['a generator'] ?? fail
  let options: SseOptions = {}
  app.get('/', { exposeHeadRoute: true }, (_request, reply) => reply.sse(make(watch), options))
  app.get('/left', async (request, reply) => {
    request.raw.socket.destroy()
    await once(reply.raw, 'close')
    return reply.sse(make(watch), options)
  })
  await listen(app)

  const kinds = ['a stream of objects', 'a web stream', 'a generator', 'an async iterator'] as const
  for (const name of kinds) {
    for (const promised of [false, true]) {
      make = (watch) => {
        const source = (KINDS[name] ?? fail)(watch)
        return promised ? Promise.resolve(source) as SseSource : source
      }
      const releases = name.startsWith('a stream') || name.startsWith('a web') ? 1 : 0
      options = { finite: true }
      const requests: Readonly<Record<string, () => Promise<unknown>>> = {
        HEAD: () => app.inject({ method: 'HEAD', url: '/' }),
        'a finite 204': async () => {
          const { statusCode } = await app.inject({ url: '/', headers: { 'last-event-id': 'fastify-rxjs-sse:end' } })
          t.equal(statusCode, 204)
        },
        'a client that has left': async () => { await fetch(`http://127.0.0.1:${portOf(app)}/left`).catch(() => {}) },
        'a signal that has fired': () => {
          options = { signal: AbortSignal.abort() }
          return Promise.resolve(app.inject('/'))
        }
      }
      for (const [what, request] of Object.entries(requests)) {
        watch.asked = watch.released = 0
        await request()
        await settle(watch)
        // A stream of the web pulls its first value by itself.
        const asked = name === 'a web stream' ? Math.min(watch.asked, 1) : 0
        t.same([watch.released, watch.asked], [releases, asked], `${promised ? 'a promise of ' : ''}${name}: ${what}`)
      }
    }
  }
})
