import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLogOptions, MessageEvent } from '../../index.ts'
import { READER_KINDS, readLog, settle } from '../fixtures/log-readers.ts'
import { WallClock } from '../fixtures/wall-clock.ts'

/** Makes a log with the events 0, 1, 2 …, and returns their ids, too. */
async function logOf (count: number, options: EventLogOptions = {}): Promise<{ log: MemoryEventLog, ids: string[] }> {
  const log = new MemoryEventLog(options)
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await log.append(n))
  return { log, ids }
}

/** Returns what a new reader gets at once: the data of events, and the type and the data of gaps. */
function read (log: MemoryEventLog, lastEventId?: string): unknown[] {
  const reader = readLog('RxJS', log, lastEventId)
  reader.leave()
  return reader.got.map(({ type, data }) => type === 'gap' ? [type, JSON.parse(String(data))] : data)
}

t.test('Should give ids that rise by one, behind a name that no other log has', async (t) => {
  const { ids } = await logOf(3)
  const [name] = String(ids[0]).split('-')
  t.match(name, /^[0-9a-f]{12}$/)
  t.same(ids, [`${name}-1`, `${name}-2`, `${name}-3`])
  const other = await logOf(1)
  t.not(other.ids[0], ids[0])
})

t.test('Should append at once, and resolve with the id', async (t) => {
  const log = new MemoryEventLog()
  const reader = readLog('RxJS', log)
  const promise = log.append('a')
  t.match(reader.got, [{ data: 'a' }])
  t.equal(await promise, reader.got[0]?.id)
})

t.test('Should begin with what comes for a reader without an id, or with all that is held', async (t) => {
  for (const id of [undefined, '']) {
    const now = await logOf(3)
    const reader = readLog('RxJS', now.log, id)
    await now.log.append('next')
    t.same(reader.got.map(({ data }) => data), ['next'])
    t.same(read((await logOf(3, { from: 'start' })).log, id), [0, 1, 2])
  }
})

t.test('Should go on behind the id, from the one before the first to the last', async (t) => {
  const { log, ids } = await logOf(3)
  t.same(ids.map((id) => read(log, id)), [[1, 2], [2], []])
  t.same(read(log, ids[0]?.replace('-1', '-0')), [0, 1, 2])
})

t.test('Should give a gap where the next event is not held any more, and not where it is', async (t) => {
  const { log, ids } = await logOf(10, { maxEvents: 4 })
  t.same(read(log, ids[5]), [6, 7, 8, 9], 'the id itself is not held, but its successor')
  t.same(read(log, ids[4]), [['gap', { lastEventId: ids[4], oldest: ids[6] }], 6, 7, 8, 9])
})

t.test('Should give a gap without an oldest id, where nothing is held', async (t) => {
  const clock = new WallClock(t)
  const { log, ids } = await logOf(2, { maxAge: 1000 })
  clock.now += 1001
  t.same(read(log, ids[0]), [['gap', { lastEventId: ids[0], oldest: null }]])
  t.same(read(log, ids[1]), [], 'that one has missed nothing')
  t.same(read(new MemoryEventLog(), 'a-1'), [['gap', { lastEventId: 'a-1', oldest: null }]])
})

t.test('Should know the ids of a log before a restart as those of another', async (t) => {
  const before = await logOf(5)
  const after = await logOf(5)
  for (const id of before.ids) {
    t.same(read(after.log, id), [['gap', { lastEventId: id, oldest: after.ids[0] }], 0, 1, 2, 3, 4])
  }
})

t.test('Should take no text for an id that it cannot have given', async (t) => {
  const { log, ids } = await logOf(2)
  const [first = ''] = ids
  const [name = ''] = first.split('-')
  const all = [0, 1]
  for (const bad of [
    "'; DROP TABLE events; --", 'XADD', '*', '$', '-', '0', '1', 'null', 'NaN', name, `${name}-`, `${name}--1`,
    `${name}-00`, `${name}-01`, `${name}-1.0`, `${name}-1e0`, `${name}-0x1`, `${name}-+1`, `${name}-3`,
    `${name}-9007199254740993`, `${name}-9999999999999999`,
    `${name}-10000000000000000`, `${name}-Infinity`, first.toUpperCase().replace(/^\d+$/, 'A'), 'fastify-rxjs-sse:end'
  ].filter((bad) => bad !== first)) {
    t.same(read(log, bad), [['gap', { lastEventId: bad, oldest: first }], ...all], bad)
  }
  for (const bad of [
    `${first}\0`, `${first}\n`, ` ${first}`, `${first} `, 'é', '\u2028', 'x'.repeat(1025), `${name}-${'1'.repeat(2 ** 20)}`
  ]) {
    t.same(read(log, bad), [['gap', { lastEventId: null, oldest: first }], ...all], bad.slice(0, 20))
  }
  t.same(read(log, 'x'.repeat(1024)), [['gap', { lastEventId: 'x'.repeat(1024), oldest: first }], ...all])
})

t.test('Should give all that is held to a reader that fell behind, after a gap', async (t) => {
  for (const kind of READER_KINDS) {
    const { log, ids } = await logOf(1, { maxEvents: 3, from: 'start' })
    const reader = readLog(kind, log, ids[0])
    for (let n = 1; n < 10; n++) {
      if (n === 3) reader.pull(1)
      ids.push(await log.append(n))
    }
    reader.pull(4)
    await settle()
    const gap = { type: 'gap', data: JSON.stringify({ lastEventId: ids[1], oldest: ids[7] }) }
    const expected: MessageEvent[] = kind === 'RxJS'
      ? ids.slice(1).map((id, i) => ({ id, data: i + 1 }))
      : [{ id: ids[1], data: 1 }, gap, ...[7, 8, 9].map((n) => ({ id: ids[n], data: n }))]
    t.match(reader.got, expected, kind)
    t.equal(reader.got.length, expected.length)
    reader.leave()
  }
})

t.test('Should hold events no longer than they may be held', async (t) => {
  const clock = new WallClock(t)
  const { log, ids } = await logOf(1, { maxAge: 1000, from: 'start' })
  clock.now += 600
  ids.push(await log.append(1))
  clock.now += 400
  t.same(read(log), [0, 1])
  clock.now += 1
  t.same(read(log), [1])
  t.same(read(log, ids[0]), [1])
  clock.now += 10_000
  t.same(read(log), [])
  await log.append(2)
  t.same(read(log, ids[0]), [['gap', { lastEventId: ids[0], oldest: ids[0]?.replace('-1', '-3') }], 2])
})

t.test('Should let readers append while they read', async (t) => {
  for (const kind of READER_KINDS) {
    const log = new MemoryEventLog<number>({ from: 'start' })
    const filter = ({ data }: MessageEvent<number>): boolean => {
      if (Number(data) < 10) void log.append(Number(data) + 1)
      return true
    }
    const reader = readLog(kind, log, undefined, { filter })
    reader.pull(100)
    await log.append(0)
    await settle()
    t.same(reader.got.map(({ data }) => data), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], kind)
    reader.leave()
  }
})
