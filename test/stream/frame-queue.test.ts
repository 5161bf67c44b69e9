import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { FrameQueue, LatestFrameQueue } from '../../lib/stream/frame-queue.ts'
import { Frame, sizeOf } from '../../lib/wire/frame.ts'

function drain (queue: FrameQueue | LatestFrameQueue): string {
  let text = ''
  for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) text += frame.toString()
  return text
}

function fill<Queue extends FrameQueue | LatestFrameQueue> (queue: Queue, frames: string): Queue {
  for (const text of frames) queue.push(new Frame(text))
  return queue
}

for (const Queue of [FrameQueue, LatestFrameQueue]) {
  t.test(`Should give back the frames in order (${Queue.name})`, async (t) => {
    const queue = fill(new Queue(), 'abc')
    t.equal(queue.shift()?.toString(), 'a')
    t.equal(drain(fill(queue, 'de')), 'bcde')
    t.equal(queue.shift(), undefined)
    t.equal(drain(fill(queue, 'f')), 'f', 'it can be filled again after it was empty')
  })

  t.test(`Should count the bytes that wait, and 128 for each frame (${Queue.name})`, async (t) => {
    const queue = new Queue()
    t.same([queue.length, queue.bytes], [0, 0])
    queue.push(new Frame('abc'))
    queue.push(new Frame('é', '😀', '\n\n'))
    t.same([queue.length, queue.bytes], [2, 3 + 8 + 2 * 128])
    queue.shift()
    t.same([queue.length, queue.bytes], [1, 8 + 128])
    queue.shift()
    queue.shift()
    t.same([queue.length, queue.bytes], [0, 0])
  })

  t.test(`Should stay as quick as it is small, however many frames have passed (${Queue.name})`, async (t) => {
    const queue = fill(new Queue(), 'x'.repeat(50_000))
    const frame = new Frame('y')
    const start = performance.now()
    for (let i = 0; i < 500_000; i++) {
      queue.push(frame)
      queue.shift()
    }
    // To move all that is behind, each time, takes half a minute.
    t.ok(performance.now() - start < 5000)
    t.same([queue.length, queue.bytes], [50_000, 50_000 * 129])
  })
}

t.test('Should size a frame in bytes', async (t) => {
  t.equal(sizeOf(new Frame('')), 128)
  t.equal(sizeOf(new Frame('a', 'é😀', '\n\n')), 1 + 6 + 2 + 128)
})

t.test('Should put a frame in the place of the one with its key', async (t) => {
  const queue = new LatestFrameQueue()
  queue.push(new Frame('a1'), 'a')
  queue.push(new Frame('b1'), 'b')
  queue.push(new Frame('a20'), 'a')
  t.same([queue.length, queue.bytes], [2, 5 + 2 * 128])
  t.equal(drain(queue), 'a20b1')
})

t.test('Should put a frame at the tail in the stead of the one with its key', async (t) => {
  const queue = new LatestFrameQueue()
  queue.push(new Frame('a1'), 'a', true)
  queue.push(new Frame('b1'), 'b')
  queue.push(new Frame('a20'), 'a', true)
  t.same([queue.length, queue.bytes], [2, 5 + 2 * 128])
  t.equal(drain(queue), 'b1a20')
})

t.test('Should never replace a frame without a key', async (t) => {
  const queue = new LatestFrameQueue()
  queue.push(new Frame('1'))
  queue.push(new Frame('2'), null)
  queue.push(new Frame('3'))
  queue.push(new Frame('4'), null)
  t.equal(drain(queue), '143')
})

t.test('Should take a key anew that has left', async (t) => {
  const queue = new LatestFrameQueue()
  queue.push(new Frame('a1'), 'a')
  queue.push(new Frame('b1'), 'b')
  t.equal(queue.shift()?.toString(), 'a1')
  t.equal(queue.bytesOf('a'), 0)
  queue.push(new Frame('a2'), 'a')
  queue.push(new Frame('b2'), 'b', true)
  t.equal(drain(queue), 'a2b2')
})

t.test('Should tell what the frame of a key would free', async (t) => {
  const queue = new LatestFrameQueue()
  queue.push(new Frame('abc'), NaN)
  t.equal(queue.bytesOf(NaN), 131)
  t.equal(queue.bytesOf('other'), 0)
})

t.test('Should hold nothing of what was replaced while nobody takes anything', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const queue = new LatestFrameQueue()
  const heldAfter = (pushes: number): number => {
    for (let i = 0; i < pushes; i++) queue.push(new Frame(`data: ${i} ${'x'.repeat(2_000)}\n\n`), i % 10, true)
    gc()
    return process.memoryUsage().heapUsed
  }
  queue.push(new Frame('first'))
  queue.shift()
  const before = heldAfter(1_000)
  const after = heldAfter(32_000)
  t.equal(queue.length, 10)
  t.ok(after - before < 2 * 2 ** 20, `${((after - before) / 2 ** 20).toFixed(1)} MiB more`)
})

t.test('Should take no longer for many, however pushes and shifts take turns', async (t) => {
  const queue = new LatestFrameQueue()
  const frame = new Frame('x')
  for (let i = 0; i < 50_000; i++) queue.push(frame, i)
  const start = performance.now()
  for (let i = 0; i < 50_000; i++) {
    queue.push(frame, 50_000 + i)
    queue.shift()
  }
  // A walk over all places at each shift would take minutes.
  t.ok(performance.now() - start < 5_000, `${Math.round(performance.now() - start)} ms`)
  t.equal(queue.length, 50_000)
})
