import { Readable, Transform, pipeline } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { SseBufferOptions, SseOptions, SseOverflow, SseSource } from '../../index.ts'
import { buildApp, listen, parse, portOf } from '../fixtures/app.ts'
import { MeasuredServer } from '../fixtures/measured-server.ts'
import { Closings, KERNEL, Reader } from '../fixtures/slow.ts'
import { immediate, waitUntil } from '../fixtures/waits.ts'

t.setTimeout(180_000)

/** Sizes of values below and above the high-water mark of every socket: 16 KiB on Node 20, 64 KiB from Node 22 on. */
const SIZES = [2 ** 13, 2 ** 17]
const MIB = 2 ** 20

/** What a test sees of a source that is pulled. */
class Pulled {
  /** How often it was asked for a value. */
  asked = 0
  /** How many of them are waited for, and the most that ever were. */
  waiting = 0
  mostWaiting = 0
  end = Infinity
  readonly #padding: string

  /** Each value has about `size` bytes. */
  constructor (size = 1000) {
    this.#padding = 'x'.repeat(size)
  }

  /** The next value: its number, and padding. */
  take (): string | undefined {
    return this.asked++ < this.end ? `${this.asked - 1} ${this.#padding}` : undefined
  }

  async takeLater (): Promise<string | undefined> {
    this.waiting++
    this.mostWaiting = Math.max(this.mostWaiting, this.waiting)
    await immediate()
    this.waiting--
    return this.take()
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
    for (const size of SIZES) {
      const pulled = new Pulled(size)
      const { app, closings, port } = await serve(t, make(pulled), { buffer: { maxBytes: 1 } })
      const client = await Reader.open(t, port)
      await client.read(MIB)
      await settle(pulled)
      const asked = pulled.asked
      t.ok(asked * size >= MIB, `${asked} values of ${size} were read`)
      t.ok(asked * size <= client.bytes + KERNEL + (ahead + 4) * size, `${asked} values of ${size} were read`)
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
    }
  })
}

/** A stream that an `onSend` hook puts between: it has a high-water mark of its own, and takes nothing while it is shut. */
class Gate extends Transform {
  #pass: (() => void) | null = null
  #isShut = false

  constructor (highWaterMark: number) {
    super({ writableHighWaterMark: highWaterMark })
  }

  override _transform (chunk: unknown, _encoding: string, done: (error: null, chunk: unknown) => void): void {
    const pass = (): void => done(null, chunk)
    if (this.#isShut) this.#pass = pass
    else pass()
  }

  shut (): void {
    this.#isShut = true
  }

  open (): void {
    this.#isShut = false
    this.#pass?.()
    this.#pass = null
  }
}

const OVERFLOWS: Readonly<Record<string, SseOverflow>> = {
  disconnect: 'disconnect',
  'drop-oldest': 'drop-oldest',
  'drop-newest': 'drop-newest',
  latest: { latest: () => 'one key for all' }
}

/** Sources that give their values in bursts, the next one in a later turn than it is asked for. */
const BURSTS: Readonly<Record<string, (pulled: Pulled) => SseSource>> = {
  'an async generator': (pulled) => (async function * () {
    for (let value = pulled.take(); value !== undefined; value = pulled.take()) {
      if (pulled.asked % 5 === 0) await immediate()
      yield value
    }
  })(),
  'a stream of objects': (pulled) => KINDS['a stream of objects']?.make(pulled) ?? [],
  'a web stream': (pulled) => KINDS['a web stream']?.make(pulled) ?? [],
  'an event log': (pulled) => {
    const log = new MemoryEventLog({ from: 'start', maxBytes: 64 * MIB, maxEvents: 10_000 })
    for (let value = pulled.take(); value !== undefined; value = pulled.take()) void log.append(value)
    return log
  }
}

interface Pauses {
  readonly make: (pulled: Pulled) => SseSource
  readonly buffer: SseBufferOptions
  readonly size: number
  readonly highWaterMark: number
}

/** Streams to a client that is paused each time when the destination is full, and goes on; gives what came of it. */
async function streamWithPauses (t: Test, { make, buffer, size, highWaterMark }: Pauses) {
  const count = Math.min(3000, Math.max(12, Math.ceil(MIB / 2 / size)))
  const pulled = new Pulled(size)
  pulled.end = count
  const source = make(pulled)
  const gate = new Gate(highWaterMark)
  const closings = new Closings()
  const app = await buildApp(t)
  app.addHook('onSend', async (_request, _reply, payload) => pipeline(payload as Readable, gate, () => {}))
  app.get('/', (_request, reply) => reply.sse(source, { buffer, onClose: closings.onClose }))
  await listen(app)
  const client = await Reader.open(t, portOf(app))
  const isOver = (): boolean => client.events.length === count || client.isClosed
  while (!isOver()) {
    gate.shut()
    await waitUntil(() => gate.writableNeedDrain || pulled.asked > count || isOver())
    // What has been asked for comes.
    for (let i = 0; i < 3; i++) await immediate()
    gate.open()
    await waitUntil(() => gate.writableLength === 0 || isOver())
    await immediate()
  }
  const isWhole = client.data.every((text, index) => Number.parseInt(text, 10) === index)
  client.response.destroy()
  const { reason, dropped, events } = await closings.first()
  await app.close()
  return { count, received: client.events.length, isWhole, reason, dropped, events }
}

for (const [name, make] of Object.entries(BURSTS)) {
  for (const [policy, overflow] of Object.entries(OVERFLOWS)) {
    t.test(`Should hold no value of ${name} against maxBytes, however often its client pauses: ${policy}`, async (t) => {
      for (const maxBytes of [2 ** 13, 2 ** 16, MIB]) {
        for (const size of [100, 10_000, 100_000]) {
          for (const highWaterMark of [2 ** 14, 2 ** 16]) {
            const { count, isWhole, ...outcome } = await streamWithPauses(t, { make, buffer: { maxBytes, overflow }, size, highWaterMark })
            const expected = { received: count, dropped: 0, events: count }
            t.match(outcome, expected, `maxBytes ${maxBytes}, ${count} values of ${size}, mark ${highWaterMark}`)
            t.not(outcome.reason, 'overflow')
            t.ok(isWhole, 'all in order')
          }
        }
      }
    })
  }
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
