import * as fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOverflow } from '../../index.ts'
import { Probe, buildApp, listen, portOf } from '../fixtures/app.ts'
import { Closings, Reader } from '../fixtures/slow.ts'
import { immediate } from '../fixtures/waits.ts'

t.setTimeout(120_000)

const MAX_BYTES = 2 ** 20

interface Message {
  readonly number: number
  readonly key: string
  readonly hasId: boolean
  readonly size: number
}

/** While the client does not read, messages of these sizes come; then it reads so many bytes. */
interface Pause {
  readonly messages: ReadonlyArray<Omit<Message, 'number'>>
  readonly reads: number
}

/** What came of a run: what was emitted, what the client got, and what the server says of it. */
interface Outcome {
  readonly emitted: Message[]
  readonly received: Message[]
  readonly isComplete: boolean
  readonly reason: string
  readonly events: number
  readonly dropped: number
}

const message = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  hasId: fc.boolean(),
  size: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 2000 }) }, { weight: 3, arbitrary: fc.integer({ min: 50_000, max: 200_000 }) })
})
const pause = fc.record({ messages: fc.array(message, { minLength: 40, maxLength: 120 }), reads: fc.nat(4 * 2 ** 20) })
const pauses = fc.array(pause, { minLength: 2, maxLength: 5, size: 'max' })

/** Streams to a client that does what `pauses` say, and reads up to the end. */
async function run (t: Test, overflow: SseOverflow, pauses: Pause[]): Promise<Outcome> {
  const app = await buildApp(t)
  const probe = new Probe()
  const closings = new Closings()
  app.get('/', (_request, reply) => reply.sse(probe.source, { buffer: { maxBytes: MAX_BYTES, overflow }, onClose: closings.onClose }))
  await listen(app)
  const client = await Reader.open(t, portOf(app))
  client.pause()

  const emitted: Message[] = []
  for (const { messages, reads } of pauses) {
    for (const given of messages) {
      const message = { ...given, number: emitted.length }
      emitted.push(message)
      probe.next({ data: { ...message, text: 'x'.repeat(message.size) }, id: message.hasId ? message.number : undefined })
      if (message.number % 8 === 0) await immediate()
    }
    await client.read(reads, 200)
  }
  probe.complete()
  await client.readAll()
  const { reason, events, dropped } = await closings.first()
  await app.close()
  const received = client.data.map((text) => {
    const { text: padding, ...message } = JSON.parse(text) as Message & { text: string }
    if (padding.length !== message.size) throw new Error(`message ${message.number} came in part`)
    return message
  })
  return { emitted, received, isComplete: client.isComplete, reason, events, dropped }
}

function numbersOf (messages: Message[]): number[] {
  return messages.map(({ number }) => number)
}

function isRising (numbers: number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > Number(numbers[index - 1]))
}

function expect (condition: boolean, message: string): void {
  if (!condition) throw new Error(message)
}

/** For the policies that keep the connection. */
function expectBalance ({ emitted, received, isComplete, reason, events, dropped }: Outcome): void {
  expect(reason === 'complete' && isComplete, `${reason}, complete: ${isComplete}`)
  expect(events === received.length, `${events} events, ${received.length} received`)
  expect(events + dropped === emitted.length, `${events} events, ${dropped} dropped, ${emitted.length} emitted`)
  expect(new Set(numbersOf(received)).size === received.length, 'each at most once')
  for (const message of received) {
    expect(JSON.stringify(message) === JSON.stringify({ ...emitted[message.number], number: message.number }, Object.keys(message)), 'as emitted')
  }
}

/** How much waited in the end, in bytes, of what came behind the last gap. */
function sizeBehindLastGap ({ received }: Outcome): number {
  let index = received.length - 1
  while (index > 0 && received[index - 1]?.number === Number(received[index]?.number) - 1) index--
  return received.slice(index).reduce((sum, { size }) => sum + size + 200, 0)
}

/** A few runs: sockets take their time. `dropped` tells that the property was put to the test. */
async function check (t: Test, overflow: SseOverflow, property: (outcome: Outcome) => void): Promise<void> {
  let dropped = 0
  await fc.assert(fc.asyncProperty(pauses, async (pauses) => {
    const outcome = await run(t, overflow, pauses)
    dropped += outcome.dropped + (outcome.reason === 'overflow' ? 1 : 0)
    property(outcome)
  }), { numRuns: 8, endOnFailure: true })
  t.ok(dropped > 0, `${dropped} were dropped`)
}

t.test('Should give a slow client all in order, up to the overflow that drops the connection', async (t) => {
  await check(t, 'disconnect', ({ emitted, received, isComplete, reason, events, dropped }) => {
    expect(numbersOf(received).every((number, index) => number === index), 'without a gap')
    expect(dropped === 0, 'none is dropped')
    if (reason === 'complete') expect(isComplete && events === emitted.length && received.length === events, 'all came')
    else expect(reason === 'overflow' && !isComplete && received.length <= events, `${reason}, complete: ${isComplete}`)
  })
})

t.test('Should drop the oldest for a slow client, and keep the newest', async (t) => {
  await check(t, 'drop-oldest', (outcome) => {
    expectBalance(outcome)
    expect(isRising(numbersOf(outcome.received)), 'in order')
    expect(outcome.received.at(-1)?.number === outcome.emitted.length - 1, 'the last one came')
    if (outcome.dropped > 0) {
      // What is full of frames of up to 200 kB has at most so much room left; the socket holds a frame and its mark.
      expect(sizeBehindLastGap(outcome) > MAX_BYTES - 2 * 200_000 - 2 * 65_536, 'all that fits behind the last gap')
    }
  })
})

t.test('Should drop the newest for a slow client, and keep what waits', async (t) => {
  await check(t, 'drop-newest', (outcome) => {
    expectBalance(outcome)
    const numbers = numbersOf(outcome.received)
    expect(isRising(numbers), 'in order')
    const gap = numbers.findIndex((number, index) => number !== index)
    const before = outcome.emitted.slice(0, gap).reduce((sum, { size }) => sum + size, 0)
    if (gap >= 0) expect(before > MAX_BYTES - 200_000, 'nothing is dropped before it is full')
  })
})

t.test('Should skip what is stale for a slow client', async (t) => {
  await check(t, { latest: (message) => (message as { data: Message }).data.key }, (outcome) => {
    expectBalance(outcome)
    for (const key of 'abcd') {
      const ofKey = (messages: Message[]): number[] => numbersOf(messages.filter((message) => message.key === key))
      expect(ofKey(outcome.received).at(-1) === ofKey(outcome.emitted).at(-1), `the newest of ${key} came`)
      expect(isRising(ofKey(outcome.received)), `those of ${key} in order`)
    }
    // One with an id is never sent before one that came earlier.
    let newest = -1
    for (const { number, hasId } of outcome.received) {
      if (hasId) expect(number > newest, `${number} has an id, and came after ${newest}`)
      if (hasId) newest = number
    }
  })
})
