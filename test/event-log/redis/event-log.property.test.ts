import * as fc from 'fast-check'
import t from 'tap'
import type { MessageEvent } from '../../../index.ts'
import { RedisEventLog } from '../../../lib/event-log/redis/event-log.ts'
import { compareStreamIds } from '../../../lib/event-log/redis/entry-id.ts'
import { RedisServer } from '../../fixtures/redis.ts'
import type { Client } from '../../fixtures/redis.ts'
import { isMissing } from '../../fixtures/tool.ts'
import { limitEachTest } from '../../fixtures/limits.ts'

limitEachTest()

t.setTimeout(120_000)

/** The number of events within which each reader must have begun. */
const MAX_ROUNDS = 5_000

/** A step of a client, or one that changes the log. `process` is one of two. */
type Step =
  | { readonly type: 'append', readonly process: number, readonly count: number }
  | { readonly type: 'join', readonly process: number, readonly client: number }
  | { readonly type: 'resume', readonly process: number, readonly client: number }
  | { readonly type: 'read', readonly client: number, readonly count: number }
  | { readonly type: 'leave', readonly client: number }
  | { readonly type: 'trim', readonly length: number }

const index = (count: number): fc.Arbitrary<number> => fc.nat(count - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('append' as const), process: index(2), count: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('join' as const), process: index(2), client: index(4) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('resume' as const), process: index(2), client: index(4) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('read' as const), client: index(4), count: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), client: index(4) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('trim' as const), length: fc.nat(30) }) }
)

/** Reads as many events as it is asked to, and checks them against those that were appended. */
class ModelClient {
  #iterator: AsyncIterator<MessageEvent> | null = null
  #wanted = 0
  #isReading = false
  /** The id of the last event that the client has got. */
  lastId: string | undefined
  lastNumber = -1
  process = 0
  #isAfterGap = true
  flaw: string | null = null

  open (process: number, events: AsyncIterable<MessageEvent>): void {
    this.leave()
    this.process = process
    this.#iterator = events[Symbol.asyncIterator]()
    this.#isAfterGap = this.lastId === undefined
  }

  leave (): void {
    void this.#iterator?.return?.()
    this.#iterator = null
    this.#wanted = 0
    this.#isReading = false
  }

  get isOpen (): boolean {
    return this.#iterator !== null
  }

  read (count: number): void {
    this.#wanted += count
    if (!this.#isReading) void this.#read(this.#iterator)
  }

  async #read (iterator: AsyncIterator<MessageEvent> | null): Promise<void> {
    if (iterator === null) return
    this.#isReading = true
    while (this.#wanted > 0 && this.#iterator === iterator) {
      const { done, value } = await iterator.next()
      // An event that was asked for before the client left may still come.
      if (done === true || this.#iterator !== iterator) return
      this.#wanted--
      this.#check(value)
    }
    if (this.#iterator === iterator) this.#isReading = false
  }

  #check ({ type, id, data }: MessageEvent): void {
    if (type === 'gap') {
      this.#isAfterGap = true
      return
    }
    const last = this.lastId
    this.lastId = String(id)
    if (last !== undefined && compareStreamIds(last, this.lastId) >= 0) this.flaw ??= `${id} after ${last}`
    if (!this.#isAfterGap && data !== this.lastNumber + 1) this.flaw ??= `${data} after ${this.lastNumber}`
    this.lastNumber = Number(data)
    this.#isAfterGap = false
  }
}

/** Waits until these processes have read all events, and are blocked in a read. */
async function untilRead (watch: Client, processes: ReadonlySet<string>): Promise<void> {
  for (;;) {
    const blocked = new Set((await watch.clientList()).filter(({ flags }) => flags.includes('b')).map(({ name }) => name))
    if ([...processes].every((name) => blocked.has(name))) return
  }
}

t.test('Clients of a log on Redis', { skip: isMissing('redis-server') }, async (t) => {
  const redis = await RedisServer.start(t, { isExact: true })
  const clients = [await redis.connect(t, { name: '0' }), await redis.connect(t, { name: '1' })]
  const watch = await redis.connect(t)
  let runs = 0

  const check = async (steps: readonly Step[], bounds: { maxEvents: number, maxBytes: number }, from: 'now' | 'start'): Promise<void> => {
    const key = `log ${++runs}`
    const logs = clients.map((client) => new RedisEventLog<number>({ client, key, from, ...bounds }))
    const logOf = (process: number): RedisEventLog<number> => logs[process] ?? logs[0] as RedisEventLog<number>
    const all = Array.from({ length: 4 }, () => new ModelClient())
    let appended = 0
    const append = async (process: number, count: number): Promise<void> => {
      // The events are appended in one go, so that their numbers are in the order of their ids.
      const first = appended
      appended += count
      await Promise.all(Array.from({ length: count }, (_item, i) => logOf(process).append(first + i)))
    }
    for (const step of steps) {
      const client = 'client' in step ? all[step.client] as ModelClient : null
      if (step.type === 'append') await append(step.process, step.count)
      else if (step.type === 'join') {
        if (client !== null) client.lastId = undefined
        client?.open(step.process, logOf(step.process).after())
      } else if (step.type === 'resume') client?.open(step.process, logOf(step.process).after(client.lastId))
      else if (step.type === 'read') client?.read(step.count)
      else if (step.type === 'leave') client?.leave()
      else {
        // A log cannot notice that another program trims, below maxEvents, events that nobody has read yet.
        await untilRead(watch, new Set(all.filter(({ isOpen }) => isOpen).map(({ process }) => String(process))))
        await watch.xTrim(key, 'MAXLEN', step.length)
      }
    }
    // Each reader gets the last event, or, if it had not begun by then, one of those that follow.
    for (const client of all) client.read(1_000_000)
    const isLive = ({ isOpen, lastNumber }: ModelClient): boolean => !isOpen || lastNumber >= end
    const end = appended
    for (let i = 0; i < MAX_ROUNDS && !all.every(isLive); i++) {
      await append(0, 1)
      await (clients[1] as Client).ping()
    }
    for (const client of all) {
      if (!isLive(client)) client.flaw ??= `nothing after ${client.lastId}`
      client.leave()
      if (client.flaw !== null) throw new Error(client.flaw)
    }
    await (clients[0] as Client).del(key)
  }

  t.test('Should get a contiguous part or a gap, and nothing twice, whatever happens', async (t) => {
    const bounds = fc.record({ maxEvents: fc.constantFrom(5, 50, 100_000), maxBytes: fc.constantFrom(1, 2_000, 1_000_000) })
    const steps = fc.array(step, { minLength: 5, maxLength: 60 })
    await fc.assert(fc.asyncProperty(steps, bounds, fc.constantFrom('now', 'start'), check), {
      numRuns: 1_000, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false
    })
    t.ok(runs >= 20, `${runs} runs`)
  })
})
