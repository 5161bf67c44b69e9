import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SseSource } from '../../index.ts'
import { buildApp, listen, portOf } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { Closings, Reader } from '../fixtures/slow.ts'
import { deferred, immediate } from '../fixtures/one-route.ts'

/** The unhandled rejections, which no source may cause. */
const unhandled: unknown[] = []
const remember = (reason: unknown): void => { unhandled.push(reason) }
process.on('unhandledRejection', remember)
t.teardown(() => process.removeListener('unhandledRejection', remember))

function teapot (): Error {
  return Object.assign(new Error('short and stout'), { statusCode: 418 })
}

/** Makes sources that give that many values, and then fail. */
const KINDS: Readonly<Record<string, (values: number) => SseSource>> = {
  'an iterator that throws': (values) => ({
    [Symbol.iterator]: () => ({ next: () => values-- > 0 ? { done: false, value: 'value' } : fail() })
  }),
  'a generator': function * (values) {
    while (values-- > 0) yield 'value'
    fail()
  },
  'an async generator': async function * (values) {
    while (values-- > 0) yield 'value'
    fail()
  },
  'an async iterator that rejects': (values) => asyncIterable({
    next: () => values-- > 0 ? Promise.resolve({ done: false, value: 'value' }) : Promise.reject(teapot())
  }),
  'an async iterator that throws': (values) => asyncIterable({
    next: () => values-- > 0 ? Promise.resolve({ done: false, value: 'value' }) : fail()
  }),
  'a stream of objects that is destroyed': (values) => new Readable({
    objectMode: true,
    // The stream must not read ahead: one that is destroyed drops the values in its buffer.
    highWaterMark: 1,
    read () {
      if (values-- > 0) this.push('value')
      else this.destroy(teapot())
    }
  }),
  'a web stream that errors': (values) => new ReadableStream<string>({
    pull (controller) {
      if (values-- > 0) controller.enqueue('value')
      else controller.error(teapot())
    }
  }, { highWaterMark: 0 })
}

/** Makes sources that fail before their first value. */
const AT_ONCE: Readonly<Record<string, () => SseSource>> = {
  'a rejected promise': () => Promise.reject<never>(teapot()),
  'a factory that throws': () => fail,
  'a factory whose promise rejects': () => async () => fail(),
  'a promise of a generator that throws': () => Promise.resolve(KINDS['a generator']?.(0)) as SseSource,
  'an iterable whose iterator cannot be had': () => ({ [Symbol.iterator]: fail }),
  'an async iterable whose iterator cannot be had': () => ({ [Symbol.asyncIterator]: fail }),
  'a web stream that is locked': () => {
    const stream = new ReadableStream<string>()
    stream.getReader()
    return stream
  },
  'a stream of objects that was destroyed before': () => new Readable({ objectMode: true, read () {} }).destroy(teapot())
}

function fail (): never {
  throw teapot()
}

function asyncIterable (iterator: AsyncIterator<string>): AsyncIterable<string> {
  return { [Symbol.asyncIterator]: () => iterator }
}

async function serve (t: Test, make: () => SseSource, options: SseOptions = {}) {
  const logs = new Logs()
  const closings = new Closings()
  const app = await buildApp(t, { onClose: closings.onClose, ...options }, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(make()))
  await listen(app)
  return { app, closings, logs, port: portOf(app) }
}

for (const [name, make] of Object.entries(KINDS)) {
  t.test(`Should answer what comes first by the error handler: ${name}`, async (t) => {
    const { app, closings } = await serve(t, () => make(0))
    const response = await app.inject('/')
    t.equal(response.statusCode, 418)
    t.match(response.json(), { message: 'short and stout' })
    t.same([closings.reasons, app.sse.size], [[], 0])
  })

  t.test(`Should break the stream of what fails later: ${name}`, async (t) => {
    const { app, closings, logs, port } = await serve(t, () => make(3), { onError: () => 'sorry' })
    const client = await Reader.open(t, port)
    await client.readAll()
    t.same([client.data, client.isComplete], [['value', 'value', 'value', 'sorry'], false])
    const { reason, error, events } = await closings.first()
    t.match([reason, error, events], ['error', { message: 'short and stout' }, 3])
    t.equal(app.sse.size, 0)
    t.equal(logs.alarms.length, 1)
  })
}

for (const [name, make] of Object.entries(AT_ONCE)) {
  t.test(`Should answer by the error handler: ${name}`, async (t) => {
    const { app, closings } = await serve(t, make, { open: 'first-event' })
    const response = await app.inject('/')
    t.equal(response.statusCode, name === 'a web stream that is locked' ? 500 : 418)
    t.same([closings.reasons, app.sse.size], [[], 0])
  })
}

t.test('Should not heed what a promise or a source gives or fails with when the client has left', async (t) => {
  const late: Array<() => void> = []
  const makes: ReadonlyArray<() => SseSource> = [
    () => new Promise<string>((_resolve, reject) => late.push(() => reject(teapot()))),
    () => new Promise<string>((resolve) => late.push(() => resolve('late'))),
    () => async () => {
      await new Promise<void>((resolve) => late.push(resolve))
      return fail()
    },
    () => asyncIterable({ next: () => new Promise((_resolve, reject) => late.push(() => reject(teapot()))) }),
    () => asyncIterable({ next: () => new Promise((resolve) => late.push(() => resolve({ done: false, value: 'late' }))) }),
    () => (async function * () {
      await new Promise<void>((resolve) => late.push(resolve))
      fail()
      yield ''
    })(),
    () => new Readable({ objectMode: true, read () { late.push(() => this.destroy(teapot())) } }),
    () => new ReadableStream<string>({ pull: () => new Promise((_resolve, reject) => late.push(() => reject(teapot()))) }, { highWaterMark: 0 })
  ]
  for (const make of makes) {
    const { app, closings, logs, port } = await serve(t, make)
    const client = await Reader.open(t, port)
    const { length } = late
    client.response.destroy()
    t.match(await closings.first(), { reason: 'client', events: 0 })
    for (const settle of late.splice(0, length)) settle()
    for (let i = 0; i < 20; i++) await immediate()
    t.same([closings.reasons, app.sse.size, logs.alarms], [['client'], 0, []])
  }
})

t.test('Should log what a source throws when it is released, and nothing else', async (t) => {
  const waiting = new Promise<never>(() => {})
  const makes: Readonly<Record<string, () => SseSource>> = {
    'return() throws': () => asyncIterable({ next: () => waiting, return: fail }),
    'return() rejects': () => asyncIterable({ next: () => waiting, return: () => Promise.reject(teapot()) }),
    'cancel() rejects': () => new ReadableStream<string>({ cancel: () => Promise.reject(teapot()) }),
    'cancel() throws': () => new ReadableStream<string>({ cancel: fail }),
    'finally throws': () => (function * () {
      try {
        for (;;) yield 'x'.repeat(2 ** 20)
      } finally {
        fail()
      }
    })()
  }
  for (const [name, make] of Object.entries(makes)) {
    const { app, closings, logs, port } = await serve(t, make)
    const client = await Reader.open(t, port)
    client.response.destroy()
    t.equal((await closings.first()).reason, 'client', name)
    await logs.until(({ msg }) => msg === 'a teardown of an event stream threw')
    t.same(logs.alarms.map(({ err }) => err?.message), ['short and stout'], name)
    t.equal(app.sse.size, 0)
  }
})

t.test('Should handle the rejection of a promise that is not used', async (t) => {
  const { app } = await serve(t, () => Promise.reject<never>(teapot()), { finite: true })
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200)
  t.equal((await app.inject({ url: '/', headers: { 'last-event-id': 'fastify-rxjs-sse:end' } })).statusCode, 204)
})

t.test('Should handle the rejection of a promise for a client that has left', async (t) => {
  const app = await buildApp(t)
  const { promise: called, resolve } = deferred<void>()
  app.get('/', async (request, reply) => {
    request.raw.socket.destroy()
    await immediate()
    reply.sse(Promise.reject(teapot()))
    resolve()
    return reply
  })
  await listen(app)
  await fetch(`http://127.0.0.1:${portOf(app)}/`).catch(() => {})
  await called
  t.equal(app.sse.size, 0)
})

t.test('Should end the stream of a value that cannot be written, and release its source', async (t) => {
  let released = 0
  const { closings, port } = await serve(t, () => (async function * () {
    try {
      yield 'good'
      yield { data: 1n }
      yield 'never'
    } finally {
      released++
    }
  })())
  const client = await Reader.open(t, port)
  await client.readAll()
  t.same([client.data, client.isComplete, released], [['good'], false, 1])
  t.match(await closings.first(), { reason: 'error', error: { code: 'FST_SSE_SERIALIZATION' }, events: 1 })
})

t.test('Should never leave a rejection unhandled', async (t) => {
  for (let i = 0; i < 20; i++) await immediate()
  t.same(unhandled, [])
})
