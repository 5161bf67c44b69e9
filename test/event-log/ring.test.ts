import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { LogEntry, contentOf } from '../../lib/event-log/entry.ts'
import { Ring } from '../../lib/event-log/ring.ts'
import { WallClock } from '../fixtures/wall-clock.ts'
import { immediate } from '../fixtures/one-route.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const UNBOUNDED = { maxEvents: Infinity, maxBytes: Infinity, maxAge: Infinity }

function entry (n: number, bytes = 1, time = Date.now()): LogEntry {
  return new LogEntry(String(n), time, contentOf('x'.repeat(bytes)))
}

function idsOf (ring: Ring): string[] {
  const ids: string[] = []
  for (let position = ring.start; position < ring.end; position++) ids.push(ring.at(position)?.id ?? 'none')
  return ids
}

t.test('Should begin empty', async (t) => {
  const ring = new Ring(UNBOUNDED)
  t.same([ring.start, ring.end, ring.at(0), ring.at(-1)], [0, 0, undefined, undefined])
  ring.expire()
  t.same(idsOf(ring), [])
})

t.test('Should keep the position of an entry while older ones are released', async (t) => {
  const ring = new Ring({ ...UNBOUNDED, maxEvents: 5 })
  for (let n = 0; n < 100; n++) {
    ring.push(entry(n))
    t.same([ring.start, ring.end], [Math.max(0, n - 4), n + 1])
    for (let position = -1; position <= n + 1; position++) {
      const isHeld = position >= ring.start && position <= n
      t.equal(ring.at(position)?.id, isHeld ? String(position) : undefined)
    }
  }
})

t.test('Should hold as many bytes as it may, and the newest however large it is', async (t) => {
  const { size } = entry(0, 100)
  const ring = new Ring({ ...UNBOUNDED, maxBytes: 3 * size })
  for (let n = 0; n < 5; n++) ring.push(entry(n, 100))
  t.same(idsOf(ring), ['2', '3', '4'])
  ring.push(entry(5, 101))
  t.same(idsOf(ring), ['4', '5'], 'one byte too many')
  ring.push(entry(6, 10_000))
  t.same(idsOf(ring), ['6'])
  ring.push(entry(7, 100))
  t.same(idsOf(ring), ['7'])
  ring.push(entry(8, 100))
  t.same(idsOf(ring), ['7', '8'], 'and has forgotten how large the others were')
})

t.test('Should release what is too old, when something is pushed and when it is asked to', async (t) => {
  const clock = new WallClock(t)
  const ring = new Ring({ ...UNBOUNDED, maxAge: 100 })
  ring.push(entry(0))
  clock.now += 50
  ring.push(entry(1))
  clock.now += 50
  ring.expire()
  t.same(idsOf(ring), ['0', '1'], 'as old as it may be')
  clock.now += 1
  ring.push(entry(2))
  t.same(idsOf(ring), ['1', '2'])
  clock.now += 1000
  ring.expire()
  t.same(idsOf(ring), [])
  t.same([ring.start, ring.end], [3, 3])
  ring.push(entry(3))
  t.same(idsOf(ring), ['3'])
})

t.test('Should hold the entries no longer than their places, but for the last that it released', async (t) => {
  const ring = new Ring({ ...UNBOUNDED, maxEvents: 8 })
  t.equal(ring.lastReleased, null)
  const entries: Array<WeakRef<LogEntry>> = []
  for (let n = 0; n < 12; n++) {
    const pushed = entry(n)
    entries.push(new WeakRef(pushed))
    ring.push(pushed)
  }
  t.equal(ring.lastReleased?.id, '3')
  await immediate()
  gc()
  t.same(entries.map((entry) => entry.deref()?.id).filter((id) => id !== undefined), ['3', ...idsOf(ring)])
})
