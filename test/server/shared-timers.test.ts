import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import t from 'tap'
import { SharedTimers } from '../../lib/server/shared-timers.ts'
import { Clock } from '../fixtures/clock.ts'

const INTERVAL = 1000

/** A stream that writes at each heartbeat, and records the times of its heartbeats. */
class Stream {
  lastWrite: number
  readonly beats: number[] = []
  readonly #onBeat: (stream: Stream) => void

  constructor (onBeat: (stream: Stream) => void = (stream) => stream.write()) {
    this.#onBeat = onBeat
    this.lastWrite = performance.now()
  }

  write (): void {
    this.lastWrite = performance.now()
  }

  beat (): void {
    this.beats.push(performance.now())
    this.#onBeat(this)
  }
}

function rethrow (_member: unknown, error: unknown): never {
  throw error
}

/** The heartbeats of streams with the same interval. */
class Heartbeats {
  readonly #timers: SharedTimers<Stream>
  readonly #interval: number

  constructor (interval: number, context: AsyncResource) {
    this.#timers = new SharedTimers<Stream>(
      (stream, interval) => stream.lastWrite + interval, { call: (stream) => stream.beat(), fail: rethrow }, 1 / 100, context)
    this.#interval = interval
  }

  add (stream: Stream): void {
    this.#timers.add(stream, this.#interval)
  }

  delete (stream: Stream): void {
    this.#timers.delete(stream, this.#interval)
  }
}

function createHeartbeats (interval = INTERVAL): Heartbeats {
  return new Heartbeats(interval, new AsyncResource('test'))
}

t.test('Should beat after each interval of silence', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const stream = new Stream()
  heartbeats.add(stream)
  clock.advance(999)
  t.same(stream.beats, [])
  clock.advance(2001)
  t.same(stream.beats, [1000, 2000, 3000])
  t.end()
})

t.test('Should wait for as long again after something was written', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const stream = new Stream()
  heartbeats.add(stream)
  clock.advance(600)
  stream.write()
  clock.advance(999)
  t.same(stream.beats, [])
  clock.advance(1)
  t.same(stream.beats, [1600])
  for (let step = 0; step < 20; step++) {
    clock.advance(500)
    stream.write()
  }
  t.same(stream.beats, [1600], 'never, while there is something to send')
  t.end()
})

t.test('Should need one timer for all streams, which keeps no process alive', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const streams = Array.from({ length: 100 }, () => {
    const stream = new Stream()
    heartbeats.add(stream)
    clock.advance(5)
    t.equal(clock.timers.size, 1)
    return stream
  })
  clock.advance(3000)
  t.equal(clock.timers.size, 1)
  t.ok([...clock.timers].every(({ isRef }) => !isRef), 'neither the first nor those that follow')
  t.ok(streams.every(({ beats }) => beats.length === 3))
  t.end()
})

t.test('Should keep each stream\'s own time, within a hundredth of the interval', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const streams = Array.from({ length: 700 }, () => {
    clock.advance(1.3)
    const stream = new Stream()
    heartbeats.add(stream)
    return stream
  })
  clock.advance(10 * INTERVAL)
  while (clock.turn());
  for (const { beats } of streams) {
    const pauses = beats.slice(1).map((beat, index) => beat - (beats[index] ?? 0))
    if (pauses.some((pause) => pause < INTERVAL - 1 || pause > INTERVAL * 1.01 + 1)) t.fail(`pauses of ${pauses.join(', ')}`)
    if (beats.length < 9) t.fail(`only ${beats.length} beats`)
  }
  t.ok(clock.fired <= 1100, `at most a hundred looks an interval: ${clock.fired} in eleven`)
  t.end()
})

t.test('Should not look twice for a fraction of a millisecond', (t) => {
  const clock = new Clock(t)
  clock.now = 0.9
  const heartbeats = createHeartbeats()
  const stream = new Stream()
  heartbeats.add(stream)
  clock.advance(1000)
  t.same(stream.beats, [1000])
  t.equal(clock.fired, 1)
  t.end()
})

t.test('Should fire for the one that is due first, whoever came first', (t) => {
  const clock = new Clock(t)
  const fired: number[] = []
  const timers = new SharedTimers<number>((at) => at, {
    call: (at) => { fired.push(at); timers.delete(at, 1000) }, fail: rethrow
  }, 1 / 100, new AsyncResource('test'))
  for (const at of [900, 500, 700]) timers.add(at, 1000)
  clock.advance(1000)
  t.same(fired, [500, 700, 900])
  t.equal(clock.timers.size, 0)
  t.end()
})

t.test('Should beat in slices, so that others get their turn', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  let beats = 0
  const streams = Array.from({ length: 1100 }, () => new Stream((stream) => {
    beats++
    stream.write()
  }))
  for (const stream of streams) heartbeats.add(stream)
  clock.advance(INTERVAL)
  const slices = [beats]
  while (clock.turn()) slices.push(beats - slices.reduce((sum, slice) => sum + slice, 0))
  t.same(slices, [250, 250, 250, 250, 100])
  t.ok(streams.every((stream) => stream.beats.length === 1))
  t.end()
})

t.test('Should need no second turn for a full slice', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  for (let count = 0; count < 250; count++) heartbeats.add(new Stream())
  clock.advance(INTERVAL)
  t.notOk(clock.turn())
  t.end()
})

t.test('Should not beat a stream that leaves while it waits for its slice', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const streams = Array.from({ length: 600 }, () => new Stream())
  for (const stream of streams) heartbeats.add(stream)
  clock.advance(INTERVAL)
  for (const stream of streams.slice(400)) heartbeats.delete(stream)
  while (clock.turn());
  t.equal(streams.filter(({ beats }) => beats.length === 1).length, 400)
  t.ok(streams.slice(400).every(({ beats }) => beats.length === 0))
  t.end()
})

t.test('Should leave no timer when the last stream leaves', (t) => {
  const clock = new Clock(t)
  const heartbeats = createHeartbeats()
  const first = new Stream()
  const last = new Stream((stream) => heartbeats.delete(stream))
  heartbeats.add(first)
  heartbeats.add(last)
  heartbeats.delete(first)
  t.equal(clock.timers.size, 1)
  clock.advance(INTERVAL)
  t.equal(clock.timers.size, 0, 'not even when it leaves in its beat')
  heartbeats.delete(last)
  t.equal(clock.timers.size, 0)

  const newcomer = new Stream()
  heartbeats.add(newcomer)
  t.equal(clock.timers.size, 1)
  clock.advance(INTERVAL)
  t.same(newcomer.beats, [2000])
  heartbeats.delete(newcomer)
  t.equal(clock.timers.size, 0)
  t.end()
})

t.test('Should beat in the async context that it was made in, not in that of a request', (t) => {
  const clock = new Clock(t)
  const storage = new AsyncLocalStorage<string>()
  const heartbeats = storage.run('registration', () => createHeartbeats())
  const seen: Array<string | undefined> = []
  storage.run('request', () => {
    heartbeats.add(new Stream((stream) => {
      seen.push(storage.getStore())
      stream.write()
    }))
  })
  clock.advance(2 * INTERVAL)
  t.same(seen, ['registration', 'registration'])
  t.end()
})

t.test('Should make a real timer that keeps no process alive', (t) => {
  const { setTimeout } = globalThis
  const timers: NodeJS.Timeout[] = []
  globalThis.setTimeout = Object.assign((...args: Parameters<typeof setTimeout>) => {
    const timer = setTimeout(...args)
    timers.push(timer)
    return timer
  }, { __promisify__: setTimeout.__promisify__ }) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = setTimeout })
  const heartbeats = createHeartbeats(2 ** 31 - 1)
  const stream = new Stream()
  heartbeats.add(stream)
  t.same(timers.map((timer) => timer.hasRef()), [false])
  heartbeats.delete(stream)
  t.end()
})
