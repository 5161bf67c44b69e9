import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SseSource } from '../../index.ts'
import { buildApp, listen, parse, portOf } from '../fixtures/app.ts'
import { MeasuredServer } from '../fixtures/measured-server.ts'
import { Closings, KERNEL, Reader } from '../fixtures/slow.ts'
import { immediate, once } from '../fixtures/waits.ts'

/** 32 KiB: twice what a socket takes before it asks for a pause. */
const VALUE = 'x'.repeat(2 ** 15)
const MIB = 2 ** 20

/** What a test sees of a source that is pulled. */
class Pulled extends EventEmitter {
  /** How often it was asked for a value. */
  asked = 0
  /** How many of them are waited for, and the most that ever were. */
  waiting = 0
  mostWaiting = 0
  end = Infinity

  /** The next value: its number, and padding. */
  take (): string | undefined {
    this.emit('asked')
    return this.asked++ < this.end ? `${this.asked - 1} ${VALUE}` : undefined
  }

  async takeLater (): Promise<string | undefined> {
    this.waiting++
    this.mostWaiting = Math.max(this.mostWaiting, this.waiting)
    await immediate()
    this.waiting--
    return this.take()
  }

  async untilAsked (times: number): Promise<void> {
    while (this.asked < times) await once(this, 'asked')
  }
}

/** The kinds of sources that can wait. Those that read ahead say how far. */
const KINDS: Readonly<Record<string, { readonly ahead?: number, make (pulled: Pulled): SseSource }>> = {
  'an iterator': { make: (pulled) => ({ [Symbol.iterator]: () => ({ next: () => resultOf(pulled.take()) }) }) as Iterable<string> },
  'a generator': {
    make: (pulled) => (function * () { for (let value = pulled.take(); value !== undefined; value = pulled.take()) yield value })()
  },
  'an async generator': {
    make: (pulled) => (async function * () { for (let value = pulled.take(); value !== undefined; value = pulled.take()) yield value })()
  },
  'an async generator that waits': {
    make: (pulled) => (async function * () {
      for (let value = await pulled.takeLater(); value !== undefined; value = await pulled.takeLater()) yield value
    })()
  },
  'an async iterator': {
    make: (pulled) => ({ [Symbol.asyncIterator]: () => ({ next: async () => resultOf(await pulled.takeLater()) }) }) as AsyncIterable<string>
  },
  'a stream of objects': {
    ahead: 16,
    make: (pulled) => new Readable({ objectMode: true, read () { void pulled.takeLater().then((value) => this.push(value ?? null)) } })
  },
  'a web stream': {
    ahead: 1,
    make: (pulled) => new ReadableStream<string>({
      async pull (controller) {
        const value = await pulled.takeLater()
        if (value === undefined) controller.close()
        else controller.enqueue(value)
      }
    })
  },
  'a promise of an async generator': { make: (pulled) => Promise.resolve(KINDS['an async generator']?.make(pulled)) as SseSource },
  'a factory of an async generator': { make: (pulled) => () => KINDS['an async generator']?.make(pulled) as AsyncIterable<string> }
}

function resultOf (value: string | undefined): IteratorResult<string> {
  return value === undefined ? { done: true, value: undefined } : { done: false, value }
}

/** A server that streams `source` at `/`. */
async function serve (t: Test, source: SseSource, options: SseOptions = {}) {
  const closings = new Closings()
  const app = await buildApp(t, { onClose: closings.onClose, ...options })
  app.get('/', (_request, reply) => reply.sse(source))
  await listen(app)
  return { app, closings, port: portOf(app) }
}

/** Waits until nothing has been asked for in a hundred turns. */
async function settle (pulled: Pulled): Promise<void> {
  for (let asked = -1; asked !== pulled.asked;) {
    asked = pulled.asked
    for (let i = 0; i < 100; i++) await immediate()
  }
}

for (const [name, { ahead = 0, make }] of Object.entries(KINDS)) {
  t.test(`Should read no more of ${name} than the client and the buffers take, and go on when it does`, async (t) => {
    const pulled = new Pulled()
    const { app, closings, port } = await serve(t, make(pulled), { buffer: { maxBytes: 1 } })
    const client = await Reader.open(t, port)
    await client.read(MIB)
    await settle(pulled)
    const asked = pulled.asked
    t.ok(asked * VALUE.length >= MIB, `${asked} values were read`)
    t.ok(asked * VALUE.length <= client.bytes + KERNEL + (ahead + 4) * VALUE.length, `${asked} values were read`)
    t.ok(pulled.mostWaiting <= 1, 'one at a time')

    await client.read(KERNEL)
    await settle(pulled)
    t.ok(pulled.asked > asked, 'it went on')
    pulled.end = pulled.asked + 10
    await client.readAll()
    t.ok(client.isComplete)
    t.same(client.data.map((text) => Number.parseInt(text, 10)), Array.from({ length: pulled.end }, (_item, index) => index))
    const { reason, events, dropped } = await closings.first()
    t.same([reason, events, dropped, app.sse.size], ['complete', pulled.end, 0, 0])
  })
}

t.test('Should send what a promise gives', async (t) => {
  const { app } = await serve(t, Promise.resolve({ data: { a: 1 }, id: 7 }))
  t.match(parse((await app.inject('/')).payload), [{ data: '{"a":1}', id: '7' }])
})

t.test('Should send all of a source that ends, the values that write nothing too', async (t) => {
  const { app, closings } = await serve(t, [{ data: 1 }, {}, { comment: 'a comment' }, { data: 2 }])
  const { payload } = await app.inject('/')
  t.equal(payload, ':\n\ndata: 1\n\n: a comment\n\ndata: 2\n\n')
  t.match(await closings.first(), { reason: 'complete', events: 3, dropped: 0 })
})

t.test('Should ask for one value, and no more, before the head has left', async (t) => {
  const pulled = new Pulled()
  const app = await buildApp(t)
  let atCall = 0
  app.get('/', (_request, reply) => {
    reply.sse(KINDS['a generator']?.make(pulled) ?? [])
    atCall = pulled.asked
    return reply
  })
  await listen(app)
  const client = await Reader.open(t, portOf(app))
  client.pause()
  t.equal(atCall, 1)
})

for (const path of ['/endless', '/endless-sync']) {
  t.test(`Should leave the event loop to others while a fast client reads without end (${path})`, async (t) => {
    const server = await MeasuredServer.startFor(t)
    const client = await Reader.open(t, server.port, path, () => {})
    await client.until(({ bytes }) => bytes > MIB)
    for (let answers = 0; answers < 20; answers++) {
      const { bytes } = client
      await server.tell({ type: 'emit', kind: 'numbers', count: 160, pause: 1 })
      await client.until((client) => client.bytes > bytes)
    }
    t.pass('both went on')
  })
}
