import t from 'tap'
import type { Test } from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLogGap, EventLogOptions, SseOptions } from '../../index.ts'
import { buildApp, listen, portOf } from '../fixtures/app.ts'
import { Closings, KERNEL, Reader } from '../fixtures/slow.ts'
import { immediate } from '../fixtures/waits.ts'

t.setTimeout(120_000)

const MIB = 2 ** 20

interface Data {
  readonly n: number
  readonly text: string
}

async function serve (t: Test, given: EventLogOptions, options: SseOptions = {}) {
  const log = new MemoryEventLog<Data>({ maxBytes: 256 * MIB, from: 'start', ...given })
  const closings = new Closings()
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(log, { ...options, lastEventIdQuery: 'id', onClose: closings.onClose }))
  await listen(app)
  let appended = 0
  const append = (bytes: number): Promise<string> => {
    const n = appended++
    return log.append({ data: { n, text: `${n} `.padEnd(bytes, 'x') } })
  }
  return { app, log, closings, append, open: (path = '/') => Reader.open(t, portOf(app), path) }
}

function numbersOf (reader: Reader): number[] {
  return reader.data.map((data) => (JSON.parse(data) as Data).n)
}

function upTo (count: number): number[] {
  return Array.from({ length: count }, (_item, n) => n)
}

t.test('Should replay to a client that does not read far more than may wait for it, and lose nothing', async (t) => {
  const { closings, append, open } = await serve(t, {}, { buffer: { maxBytes: 64 * 1024 } })
  const count = 3 * KERNEL / MIB
  for (let i = 0; i < count; i++) await append(MIB)
  const reader = await open()
  reader.pause()
  for (let i = 0; i < 100; i++) await immediate()
  for (let i = 0; i < 20; i++) await append(MIB)
  for (let i = 0; i < 100; i++) await immediate()
  t.same(closings.reasons, [])
  reader.resume()
  await reader.until(({ events }) => events.length === count + 20)
  t.same(numbersOf(reader), upTo(count + 20))
  t.same(closings.reasons, [])
})

t.test('Should give a client that was slower than the log is long a gap, and go on from there', async (t) => {
  const { closings, append, open } = await serve(t, { maxEvents: 4 })
  const ids: string[] = []
  const reader = await open()
  reader.pause()
  const count = 3 * KERNEL / MIB
  for (let i = 0; i < count; i++) {
    ids.push(await append(MIB))
    await immediate()
  }
  reader.resume()
  await reader.until(({ events }) => events.at(-1)?.id === ids.at(-1))
  const { events } = reader
  const numberOf = (index: number): number => (JSON.parse(String(events[index]?.data)) as Data).n
  const gaps = events.flatMap(({ event }, index) => event === 'gap' ? [index] : [])
  // As the kernel takes more in between, it may fall behind again.
  t.ok(gaps.length > 0)
  for (const index of gaps) {
    const gap = JSON.parse(String(events[index]?.data)) as EventLogGap
    t.equal(gap.lastEventId, events[index - 1]?.id, 'the last that it has seen')
    t.equal(gap.oldest, events[index + 1]?.id, 'the next that it gets')
    t.ok(numberOf(index + 1) > numberOf(index - 1) + 1)
  }
  for (let i = 1; i < events.length; i++) {
    if (!gaps.includes(i) && !gaps.includes(i - 1)) t.equal(numberOf(i), numberOf(i - 1) + 1)
  }
  t.same([numberOf(0), numberOf(events.length - 1)], [0, count - 1])
  t.same(closings.reasons, [])
})

t.test('Should encode an event once for a thousand clients that resume at once, and for what comes then', async (t) => {
  let count = 0
  const serializer = (data: unknown): string => { count++; return JSON.stringify(data) }
  const { append, open, app } = await serve(t, {}, { serializer })
  const ids: string[] = []
  for (let i = 0; i < 50; i++) ids.push(await append(100))
  const readers: Reader[] = []
  for (let i = 0; i < 10; i++) {
    readers.push(...await Promise.all(Array.from({ length: 100 }, (_item, n) => open(`/?id=${ids[n % 10]}`))))
  }
  t.equal(app.sse.size, 1000)
  await Promise.all(readers.map((reader) => reader.until(({ events }) => events.at(-1)?.id === ids.at(-1))))
  t.equal(count, 49, 'the first is one that all have seen')
  for (let i = 0; i < 10; i++) ids.push(await append(100))
  await Promise.all(readers.map((reader) => reader.until(({ events }) => events.at(-1)?.id === ids.at(-1))))
  t.equal(count, 59)
  const wrong = readers.filter((reader, n) => numbersOf(reader).join() !== upTo(60).slice(n % 10 + 1).join())
  t.equal(wrong.length, 0)
})
