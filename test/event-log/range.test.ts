import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLogGap, EventLogReadOptions, MessageEvent, SseValue } from '../../index.ts'
import { READER_KINDS, readLog, settle } from '../fixtures/log-readers.ts'

const data = (events: ReadonlyArray<{ readonly data?: unknown }>): unknown[] => events.map(({ data }) => data)

interface BadCode {
  readonly what: string
  readonly filter?: () => boolean
  readonly map?: () => SseValue
  readonly error: { readonly code?: string, readonly message: string | RegExp }
}

const BAD_CODE: readonly BadCode[] = [
  { what: 'filter throws', filter: fail, error: { message: 'mine' } },
  { what: 'map throws', map: fail, error: { message: 'mine' } },
  {
    what: 'map gives nothing',
    map: () => undefined as unknown as string,
    error: { code: 'FST_SSE_INVALID_MESSAGE', message: /^undefined is not a message/ }
  },
  {
    what: 'map gives data that is not wrapped',
    map: () => ({ a: 1 }) as SseValue,
    error: { code: 'FST_SSE_UNKNOWN_FIELD', message: /wrap it/ }
  }
]

for (const kind of READER_KINDS) {
  t.test(`Should give ${kind} the events that its filter lets through, and call it once for each`, async (t) => {
    const log = new MemoryEventLog<number>({ from: 'start' })
    await log.append(1)
    const asked: unknown[] = []
    const filter: EventLogReadOptions<number>['filter'] = ({ id, data, type }) => {
      asked.push([id, data, type])
      return data === 2 || data === 4
    }
    const reader = readLog(kind, log, undefined, { filter })
    reader.pull(3)
    const ids: string[] = []
    for (const n of [2, 3, 4, 5]) ids.push(await log.append({ data: n, type: `t${n}` }))
    await settle()
    t.match(reader.got, [{ id: ids[0], data: 2, type: 't2' }, { id: ids[2], data: 4, type: 't4' }])
    t.equal(reader.got.length, 2)
    t.same(asked.length, 5)
    t.same(asked.slice(1), [2, 3, 4, 5].map((n, i) => [ids[i], n, `t${n}`]))
    reader.leave()
  })

  t.test(`Should give ${kind} what its map makes of an event, with the id of that event`, async (t) => {
    const log = new MemoryEventLog<{ n: number }>()
    const made: SseValue[] = [
      'bare', 1, null, [1], { data: 'd', type: 'tick', retry: 1, comment: 'c' }, { data: 'other id', id: 'mine' },
      { type: 'only' }
    ]
    const map: EventLogReadOptions<{ n: number }, unknown>['map'] = ({ data }) => made[Number(data?.n)] as SseValue
    const reader = readLog(kind, log, undefined, { map })
    reader.pull(100)
    const ids: string[] = []
    for (const n of made.keys()) ids.push(await log.append({ data: { n } }))
    await settle()
    const got = kind === 'an event stream' ? reader.got.slice(1) : reader.got
    t.same(got.map(({ id }) => id), ids)
    t.same(data(got), ['bare', 1, null, [1], 'd', 'other id', undefined])
    t.match(got[4], { type: 'tick', retry: 1, comment: 'c' })
    t.equal(got[6]?.type, 'only')
    reader.leave()
  })

  t.test(`Should map no more than the filter lets through, and spread an event, for ${kind}`, async (t) => {
    const log = new MemoryEventLog<number>({ from: 'start' })
    for (const n of [1, 2, 3]) await log.append({ data: n, type: 'n' })
    const mapped: unknown[] = []
    const reader = readLog(kind, log, undefined, {
      filter: ({ data }) => data !== 2,
      map (event) {
        mapped.push(event.data)
        return { ...event, data: Number(event.data) * 10 }
      }
    })
    reader.pull(10)
    await settle()
    t.match(reader.got, [{ data: 10, type: 'n' }, { data: 30, type: 'n' }])
    t.same(mapped, [1, 3])
    reader.leave()
  })

  for (const { what, filter = () => true, map, error } of BAD_CODE) {
    t.test(`Should fail ${kind} whose ${what}, and no other, and release it`, async (t) => {
      const log = new MemoryEventLog<number>()
      let calls = 0
      const bad = readLog(kind, log, undefined, {
        filter: () => { calls++; return filter() },
        ...map === undefined ? {} : { map }
      })
      const good = readLog(kind, log)
      for (const reader of [bad, good]) reader.pull(10)
      const id = await log.append(1)
      await settle()
      t.match(bad.errors, [error])
      t.equal(bad.errors.length, 1)
      t.match(good.got.at(-1), { id, data: 1 })
      await log.append(2)
      bad.pull(1)
      await settle()
      t.equal(calls, 1)
      t.equal(bad.errors.length, 1)
      t.equal(good.got.at(-1)?.data, 2)
      good.leave()
    })
  }

  t.test(`Should ask ${kind}'s filter nothing any more when it has left, whatever it was doing`, async (t) => {
    for (const state of ['waiting', 'replaying', 'full', 'at the gap']) {
      const log = new MemoryEventLog<number>({ from: 'start', maxEvents: 10 })
      for (let n = 0; n < 20; n++) await log.append(n)
      let calls = 0
      let leaveAt = Infinity
      const reader = readLog(kind, log, state === 'at the gap' ? 'unknown' : undefined, {
        filter () {
          if (++calls === leaveAt) reader.leave()
          return true
        }
      })
      reader.pull(state === 'waiting' || state === 'replaying' ? 100 : 1)
      if (state === 'replaying') {
        leaveAt = calls + 3
        for (let n = 0; n < 5; n++) void log.append(n)
      }
      await settle()
      reader.leave()
      reader.leave()
      const before = calls
      for (let n = 0; n < 5; n++) await log.append(n)
      reader.pull(1)
      await settle()
      t.equal(calls, before, state)
      t.same(reader.errors, [])
      if (state === 'replaying') t.equal(calls, leaveAt)
    }
  })

  t.test(`Should run the code of ${kind} in the context in which it began to read`, async (t) => {
    const storage = new AsyncLocalStorage<string>()
    const seen = new Set<string>()
    const note = (what: string): void => { seen.add(`${what} of ${storage.getStore()}`) }
    const log = new MemoryEventLog<number>({ maxEvents: 2, from: 'start', gap: () => { note('gap'); return 'gap' } })
    const readers = ['a', 'b'].map((name) => storage.run(name, () => readLog(kind, log, 'unknown', {
      filter: () => { note('filter'); return true },
      map: ({ data }) => { note('map'); return Number(data) }
    })))
    for (const reader of readers) storage.run('pull', () => reader.pull(3))
    for (let n = 0; n < 9; n++) await storage.run('append', () => log.append(n))
    for (const reader of readers) storage.run('pull', () => reader.pull(9))
    await settle()
    t.same([...seen].toSorted(), ['filter of a', 'filter of b', 'gap of a', 'gap of b', 'map of a', 'map of b'])
    for (const reader of readers) reader.leave()
  })

  t.test(`Should give ${kind} what the log's gap makes of it, or nothing`, async (t) => {
    const gaps: EventLogGap[] = []
    const answers: Array<SseValue | undefined> = [{ type: 'lost', data: { some: true } }, 'bare', undefined]
    const log = new MemoryEventLog<number>({ gap: (gap) => { gaps.push(gap); return answers[gaps.length - 1] } })
    const id = await log.append(1)
    const readers = answers.map((_answer, i) => readLog(kind, log, `unknown-${i}`))
    for (const reader of readers) reader.pull(5)
    await settle()
    t.match(readers[0]?.got, [{ type: 'lost', data: { some: true } }, { id, data: 1 }])
    t.match(readers[1]?.got, ['bare', { data: 1 }])
    t.match(readers[2]?.got, [{ data: 1 }])
    t.same(readers.map(({ got }) => got.length), [2, 2, 1])
    t.match(gaps, [0, 1, 2].map((i) => ({ lastEventId: `unknown-${i}`, oldest: id })))
    for (const reader of readers) reader.leave()
  })

  t.test(`Should fail ${kind} where the log's gap throws`, async (t) => {
    const log = new MemoryEventLog<number>({ gap: fail })
    await log.append(1)
    const reader = readLog(kind, log, 'unknown')
    reader.pull(5)
    await settle()
    t.match(reader.errors, [{ message: 'mine' }])
    t.same(reader.got, [])
  })

  t.test(`Should give ${kind} a gap and an event that filter and map do not see`, async (t) => {
    const log = new MemoryEventLog<number>()
    await log.append(1)
    const reader = readLog(kind, log, 'unknown', {
      filter: ({ data }) => data === 1,
      map: ({ data }) => ({ data: `mapped ${data}` })
    })
    reader.pull(5)
    await settle()
    t.match(reader.got, [{ type: 'gap' }, { data: 'mapped 1' }])
    reader.leave()
  })
}

function fail (): never {
  throw new Error('mine')
}

t.test('Should let others go on while a filter leaves out all of a long log', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  for (let n = 0; n < 1000; n++) await log.append(n)
  for (const kind of READER_KINDS) {
    let calls = 0
    const reader = readLog(kind, log, undefined, { filter: ({ data }: MessageEvent<number>) => ++calls > 0 && data === 999 })
    reader.pull(20)
    t.ok(calls > 0 && calls <= 100, `${kind}: ${calls} calls at a time`)
    while (!data(reader.got).includes(999)) await new Promise((resolve) => { setImmediate(resolve) })
    t.equal(calls, 1000)
    const ids = reader.got.filter(({ data }) => data === undefined).map(({ id }) => id)
    // Without bookmarks, a client would resume from an id that the log does not hold any more.
    const bookmarks = kind === 'an event stream' ? Array.from({ length: 9 }, (_, n) => `${String(ids[0]).split('-')[0]}-${n + 1}00`) : []
    t.same(ids, bookmarks)
    reader.leave()
  }
})

t.test('Should end what is read when the signal fires', async (t) => {
  for (const kind of READER_KINDS) {
    const log = new MemoryEventLog<number>({ from: 'start' })
    await log.append(0)
    let calls = 0
    const controller = new AbortController()
    const { signal } = controller
    const filter = (): boolean => ++calls > 0
    const reader = readLog(kind, log, undefined, { filter, signal })
    reader.pull(2)
    await settle()
    t.same(data(reader.got), [0], kind)
    controller.abort()
    await settle()
    calls = 0
    await log.append(1)
    await settle()
    t.same({ data: data(reader.got).slice(0, 2), calls, errors: reader.errors }, { data: [0], calls: 0, errors: [] }, kind)
    const late = readLog(kind, log, undefined, { filter, signal })
    late.pull(1)
    await settle()
    t.same({ got: late.got, calls }, { got: [], calls: 0 }, `${kind}: it had fired before`)
  }
})

t.test('Should release a generator that reads a log', async (t) => {
  const log = new MemoryEventLog<number>()
  const controller = new AbortController()
  let calls = 0
  const filter = (): boolean => ++calls > 0
  const ended = (async () => {
    for await (const _event of log.after(undefined, { filter, signal: controller.signal }));
  })()
  await settle()
  controller.abort()
  await ended
  await log.append(1)
  t.equal(calls, 0)
})

t.test('Should refuse a filter that gives a promise: it would let everything through', async (t) => {
  const log = new MemoryEventLog<number>({ from: 'start' })
  await log.append(1)
  for (const kind of READER_KINDS) {
    for (const filter of [async () => false, async () => { throw new Error('no') }]) {
      const reader = readLog(kind, log, undefined, { filter: filter as unknown as () => boolean })
      reader.pull(1)
      await settle()
      t.same(reader.got, [])
      t.match(reader.errors, [{ code: 'FST_SSE_INVALID_OPTION', message: /"filter" must be .* it is one that returns a promise/ }])
    }
  }
})

t.test('Should give the same id in each gap until there is another event', async (t) => {
  const log = new MemoryEventLog<number>({ maxEvents: 2 })
  const reader = readLog('an event stream', log, 'unknown')
  for (let n = 0; n < 5; n++) {
    await log.append(n)
    await log.append(n)
    reader.pull(1)
  }
  let seen = 'unknown'
  let gaps = 0
  for (const { type, id, data } of reader.got) {
    if (type === 'gap') {
      t.equal((JSON.parse(String(data)) as EventLogGap).lastEventId, seen)
      gaps++
    } else {
      seen = String(id)
    }
  }
  t.ok(gaps > 1)
})
