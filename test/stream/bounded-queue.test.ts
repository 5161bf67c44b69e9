import t from 'tap'
import type { SseOverflow } from '../../index.ts'
import { BoundedQueue } from '../../lib/stream/bounded-queue.ts'
import type { FrameKey } from '../../lib/stream/bounded-queue.ts'
import { Frame } from '../../lib/wire/frame.ts'

/** A name, padded so that three such frames fill 1 024 bytes, and four do not. */
function frame (name: string, size = 1024 / 3 - 128): Frame {
  return new Frame(name.padEnd(Math.floor(size), '.'))
}

function drain (buffer: BoundedQueue): string {
  let names = ''
  for (let frame = buffer.shift(); frame !== undefined; frame = buffer.shift()) names += frame.toString().replaceAll('.', '')
  return names
}

/** Offers the frames of these names; gives whether each was answered `true`. */
function offer (buffer: BoundedQueue, names: string, busy = 0, key: FrameKey | null = null): boolean[] {
  return [...names].map((name) => buffer.offer(frame(name), busy, key))
}

function create (overflow: SseOverflow, maxBytes = 1024): BoundedQueue {
  return new BoundedQueue({ maxBytes, overflow })
}

const latest = { latest: () => {} }
const OVERFLOWS: ReadonlyArray<SseOverflow> = ['disconnect', 'drop-oldest', 'drop-newest', latest]

for (const overflow of OVERFLOWS) {
  const name = typeof overflow === 'string' ? overflow : 'latest'

  t.test(`Should take what fits, to the byte (${name})`, async (t) => {
    const buffer = create(overflow, 300)
    t.equal(buffer.isEmpty, true)
    t.equal(buffer.offer(new Frame('a'.repeat(20)), 2, null), true)
    t.equal(buffer.offer(new Frame('b'.repeat(22)), 2, null), true)
    t.same([buffer.isEmpty, buffer.dropped], [false, 0])
    t.equal(drain(buffer), 'a'.repeat(20) + 'b'.repeat(22))
  })

  t.test(`Should not take a byte more (${name})`, async (t) => {
    const buffer = create(overflow, 300)
    t.equal(buffer.offer(new Frame('a'.repeat(20)), 3, null), true)
    const isTaken = buffer.offer(new Frame('b'.repeat(22)), 3, null)
    const { dropped } = buffer
    const left = drain(buffer)[0]
    t.same([isTaken, dropped, left], {
      disconnect: [false, 0, 'a'], 'drop-oldest': [true, 1, 'b'], 'drop-newest': [true, 1, 'a'], latest: [false, 0, 'a']
    }[name])
  })

  t.test(`Should take one frame when nothing waits, however large (${name})`, async (t) => {
    const buffer = create(overflow, 1)
    t.equal(buffer.offer(frame('a', 100_000), 0, null), true)
    t.equal(buffer.dropped, 0)
    t.equal(drain(buffer), 'a')
    t.equal(buffer.offer(frame('b', 100_000), 0, null), true, 'and again')
  })

  t.test(`Should not take it when bytes wait in the destination (${name})`, async (t) => {
    const buffer = create(overflow, 1)
    const isTaken = buffer.offer(frame('a', 100_000), 1, null)
    t.same([isTaken, buffer.isEmpty], [typeof overflow === 'string' && overflow !== 'disconnect', true])
    t.equal(buffer.dropped, isTaken ? 1 : 0)
  })
}

t.test('Should tell to disconnect, and keep what waits', async (t) => {
  const buffer = create('disconnect')
  t.same(offer(buffer, 'abcd'), [true, true, true, false])
  t.equal(buffer.dropped, 0)
  t.equal(drain(buffer), 'abc')
})

t.test('Should drop the oldest', async (t) => {
  const buffer = create('drop-oldest')
  t.same(offer(buffer, 'abcde'), [true, true, true, true, true])
  t.equal(buffer.dropped, 2)
  t.equal(drain(buffer), 'cde')
})

t.test('Should drop as many of the oldest as a large frame needs', async (t) => {
  const buffer = create('drop-oldest')
  offer(buffer, 'abc')
  t.equal(buffer.offer(frame('d', 600), 0, null), true)
  t.equal(buffer.dropped, 3)
  t.equal(drain(buffer), 'd')
})

t.test('Should not drop the oldest for a frame that does not fit even so', async (t) => {
  const buffer = create('drop-oldest')
  offer(buffer, 'ab', 10)
  t.equal(buffer.offer(frame('c', 1000), 10, null), true)
  t.equal(buffer.dropped, 1)
  t.equal(drain(buffer), 'ab')
})

t.test('Should drop the newest', async (t) => {
  const buffer = create('drop-newest')
  t.same(offer(buffer, 'abcde'), [true, true, true, true, true])
  t.equal(buffer.dropped, 2)
  buffer.shift()
  offer(buffer, 'f')
  t.equal(drain(buffer), 'bcf')
})

t.test('Should keep the newest of each key, in the place of the older', async (t) => {
  const buffer = create(latest)
  const key = { key: 'k', hasId: false }
  offer(buffer, 'a', 0, key)
  offer(buffer, 'b')
  t.same(offer(buffer, 'cde', 0, key), [true, true, true])
  t.equal(buffer.dropped, 3)
  t.equal(drain(buffer), 'eb')
})

t.test('Should keep the newest of each key at the tail, where it has an id', async (t) => {
  const buffer = create(latest)
  const key = { key: 'k', hasId: true }
  offer(buffer, 'a', 0, key)
  offer(buffer, 'b')
  offer(buffer, 'cd', 0, key)
  t.equal(buffer.dropped, 2)
  t.equal(drain(buffer), 'bd')
})

t.test('Should tell to disconnect when even the newest of each key are too many', async (t) => {
  const buffer = create(latest)
  const results = ['a', 'b', 'c', 'd'].map((name) => buffer.offer(frame(name), 0, { key: name, hasId: false }))
  t.same(results, [true, true, true, false])
  t.equal(buffer.offer(frame('A'), 0, { key: 'a', hasId: false }), true, 'a frame that replaces another needs no more')
  t.equal(drain(buffer), 'Abc')
})

t.test('Should take one frame in the place of the only one, however large', async (t) => {
  const buffer = create(latest)
  const key = { key: 'k', hasId: false }
  buffer.offer(frame('a', 5000), 0, key)
  t.equal(buffer.offer(frame('b', 9000), 0, key), true)
  t.equal(drain(buffer), 'b')
})
