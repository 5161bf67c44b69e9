import * as fc from 'fast-check'
import t from 'tap'
import type { SseOverflow } from '../../index.ts'
import { BoundedQueue } from '../../lib/stream/bounded-queue.ts'
import { Frame } from '../../lib/wire/frame.ts'

const POLICIES = ['disconnect', 'drop-oldest', 'drop-newest', 'latest'] as const
type Policy = typeof POLICIES[number]

interface Message {
  readonly number: number
  readonly size: number
  readonly key: unknown
  readonly hasId: boolean
}

/** The policies, as the words have them: what waits is a list, counted anew each time. */
class Model {
  waiting: Message[] = []
  dropped = 0
  readonly #policy: Policy
  readonly #maxBytes: number

  constructor (policy: Policy, maxBytes: number) {
    this.#policy = policy
    this.#maxBytes = maxBytes
  }

  offer (message: Message, busy: number): boolean {
    if (this.#policy === 'latest') return this.#offerLatest(message, busy)
    if (this.#fits([...this.waiting, message], busy)) {
      this.waiting.push(message)
      return true
    }
    if (this.#policy === 'disconnect') return false
    this.dropped++
    if (this.#policy === 'drop-newest' || busy + cost(message) > this.#maxBytes) return true
    while (this.waiting.length > 1 && !this.#fits([...this.waiting.slice(1), message], busy)) {
      this.waiting.shift()
      this.dropped++
    }
    this.waiting = [...this.waiting.slice(1), message]
    return true
  }

  #offerLatest (message: Message, busy: number): boolean {
    const index = message.key === undefined ? -1 : this.waiting.findIndex(({ key }) => Object.is(key, message.key))
    const after = index < 0 || message.hasId
      ? [...this.waiting.filter((_waiting, i) => i !== index), message]
      : this.waiting.with(index, message)
    if (!this.#fits(after, busy)) return false
    this.waiting = after
    if (index >= 0) this.dropped++
    return true
  }

  /** One frame is taken when nothing else waits, however large. */
  #fits (waiting: Message[], busy: number): boolean {
    return (waiting.length === 1 && busy === 0) || waiting.reduce((sum, message) => sum + cost(message), busy) <= this.#maxBytes
  }
}

function cost ({ size }: Message): number {
  return size + 128
}

/** A frame that tells its number, where there is room for it. */
function frameOf ({ number, size }: Message): Frame {
  return new Frame(`${number}.`.padEnd(size, '.').slice(0, size))
}

const emit = fc.record({
  size: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 8, max: 300 }) }, { weight: 1, arbitrary: fc.integer({ min: 8, max: 3000 }) }),
  key: fc.constantFrom<unknown>('a', 'a', 'b', 'b', 'c', 'c', NaN, null, undefined),
  hasId: fc.boolean()
})

/** The destination is stuck with `busy` bytes while `emits` come; then it takes `leaves` of what waits. */
const pause = fc.record({
  busy: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(400) }, { weight: 1, arbitrary: fc.nat(3000) }),
  emits: fc.array(emit, { maxLength: 12 }),
  leaves: fc.nat(8)
})

function optionsOf (policy: Policy, maxBytes: number): { maxBytes: number, overflow: SseOverflow } {
  return { maxBytes, overflow: policy === 'latest' ? { latest: () => {} } : policy }
}

for (const policy of POLICIES) {
  t.test(`Should let out what the policy says, in order: ${policy}`, async (t) => {
    let dropped = 0
    let refused = 0
    fc.assert(fc.property(fc.integer({ min: 1, max: 3000 }), fc.array(pause, { maxLength: 10 }), (maxBytes, pauses) => {
      const model = new Model(policy, maxBytes)
      const buffer = new BoundedQueue(optionsOf(policy, maxBytes))
      let number = 0
      for (const { busy, emits, leaves } of pauses) {
        for (const given of emits) {
          const message = { ...given, number: number++ }
          const key = policy === 'latest' && message.key !== undefined ? { key: message.key, hasId: message.hasId } : null
          const isTaken = buffer.offer(frameOf(message), busy, key)
          if (isTaken !== model.offer(message, busy)) throw new Error(`message ${message.number}: ${isTaken}`)
          if (!isTaken) return void refused++
          if (buffer.dropped > 0) dropped++
          compare(buffer, model)
        }
        for (let i = 0; i < leaves; i++) leave(buffer, model)
      }
      while (model.waiting.length > 0) leave(buffer, model)
      leave(buffer, model)
    }), { numRuns: 10_000 })
    if (policy === 'disconnect' || policy === 'latest') t.ok(refused > 1000, `${refused} runs were to be disconnected`)
    if (policy !== 'disconnect') t.ok(dropped > 1000, `${dropped} messages came after something had been dropped`)
  })
}

function compare (buffer: BoundedQueue, model: Model): void {
  if (buffer.dropped !== model.dropped) throw new Error(`dropped ${buffer.dropped}, not ${model.dropped}`)
  if (buffer.isEmpty !== (model.waiting.length === 0)) throw new Error(`isEmpty is ${buffer.isEmpty}`)
}

function leave (buffer: BoundedQueue, model: Model): void {
  const expected = model.waiting.shift()
  const frame = buffer.shift()
  const text = expected === undefined ? undefined : frameOf(expected).toString()
  if (frame?.toString() !== text) throw new Error(`out came ${frame?.toString()}, not ${text}`)
  compare(buffer, model)
}
