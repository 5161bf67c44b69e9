import { Readable } from 'node:stream'
import { from, lastValueFrom, take, toArray } from 'rxjs'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { pullerOf } from '../../lib/source/pull.ts'
import { readLog, settle } from '../fixtures/log-readers.ts'

const data = (events: ReadonlyArray<{ readonly data?: unknown }>): unknown[] => events.map(({ data }) => data)

t.test('Should give events that can be spread', async (t) => {
  for (const kind of ['an async iterator', 'RxJS'] as const) {
    for (const options of [{}, { filter: () => true }]) {
      const log = new MemoryEventLog<number>({ from: 'start' })
      const id = await log.append({ data: 1, type: 'tick' })
      const reader = readLog(kind, log, undefined, options)
      reader.pull(1)
      await settle()
      t.strictSame({ ...reader.got[0] }, { id, data: 1, type: 'tick', retry: undefined, comment: undefined })
      reader.leave()
    }
  }
})

t.test('Should read one part of a log as often as it is asked for, each time for itself', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  for (const n of [1, 2, 3]) await log.append(n)
  const events = log.after()
  for (let i = 0; i < 2; i++) {
    const got: unknown[] = []
    for await (const { data } of events) {
      got.push(data)
      if (got.length === 3) break
    }
    t.same(got, [1, 2, 3])
  }
  t.same(data(await lastValueFrom(from(events).pipe(take(2), toArray()))), [1, 2])
})

t.test('Should answer several calls of next() in their order, as an async generator does', async (t) => {
  const log = new MemoryEventLog<number>()
  const iterator = log.after()[Symbol.asyncIterator]()
  const asked = [1, 2, 3, 4].map(() => iterator.next())
  for (const n of [1, 2, 3]) await log.append(n)
  t.same(data((await Promise.all(asked.slice(0, 3))).map(({ value }) => value)), [1, 2, 3])
  t.same(await iterator.return?.(), { done: true, value: undefined })
  t.same(await asked[3], { done: true, value: undefined })
  t.same(await iterator.next(), { done: true, value: undefined })
})

function fail (): never {
  throw new Error('mine')
}

t.test('Should end an async iterator whose filter has thrown', async (t) => {
  const log = new MemoryEventLog<number>()
  const iterator = log.after(undefined, { filter: fail })[Symbol.asyncIterator]()
  const first = t.rejects(iterator.next(), { message: 'mine' })
  const second = iterator.next()
  await log.append(1)
  await first
  t.same(await second, { done: true, value: undefined })
})

t.test('Should answer in their order calls of next() that its own filter makes', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  for (const n of [1, 2]) await log.append(n)
  let second: Promise<IteratorResult<unknown>> | undefined
  const filter = (): boolean => { second ??= iterator.next(); return true }
  const iterator = log.after(undefined, { filter })[Symbol.asyncIterator]()
  t.match(await iterator.next(), { value: { data: 1 } })
  t.match(await second, { value: { data: 2 } })
  await iterator.return?.()
})

t.test('Should be read by what reads an async iterator, and end with it', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  for (const n of [1, 2]) await log.append(n)
  let calls = 0
  const stream = Readable.from(log.after(undefined, { filter: () => { calls++; return true } }))
  const got: unknown[] = []
  for await (const { data } of stream) {
    got.push(data)
    if (got.length === 2) break
  }
  t.same(got, [1, 2])
  await settle()
  const before = calls
  await log.append(3)
  t.equal(calls, before)
  const iterator = log.after()[Symbol.asyncIterator]() as AsyncIterableIterator<unknown>
  t.equal(iterator[Symbol.asyncIterator](), iterator)
  await iterator.return?.()
})

t.test('Should take no more from the log than an Observable\'s subscriber takes', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  for (const n of [1, 2, 3, 4]) await log.append(n)
  let calls = 0
  const events = log.after(undefined, { filter: () => { calls++; return true } })
  const got = await lastValueFrom(from(events).pipe(take(2), toArray()))
  t.same(data(got), [1, 2])
  t.equal(calls, 2)
  await log.append(5)
  t.equal(calls, 2)
})

t.test('Should give who only asks again what has come meanwhile', async (t) => {
  const log = new MemoryEventLog<number>()
  const puller = pullerOf(log.after())
  t.match(puller?.next(), { done: false, value: { id: /-0$/ } })
  t.equal(puller?.next(), null)
  await log.append(1)
  t.match(puller?.next(), { done: false, value: { data: 1 } })
  puller?.cancel()
  await log.append(2)
  t.same(puller?.next(), { done: true, value: undefined })
})
