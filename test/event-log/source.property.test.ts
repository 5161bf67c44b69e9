import { once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createParser } from 'eventsource-parser'
import * as fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { buildApp, listen, portOf } from '../fixtures/app.ts'
import { Waitable } from '../fixtures/slow.ts'
import { immediate } from '../fixtures/one-route.ts'

t.setTimeout(120_000)

/** What a client does after each burst of events. */
type Move = 'nothing' | 'leave' | 'pause' | 'resume'

interface Run {
  readonly maxEvents: number
  readonly size: number
  readonly from: 'now' | 'start'
  readonly bursts: ReadonlyArray<{ readonly count: number, readonly moves: readonly Move[] }>
}

interface Data {
  readonly n: number
  readonly text: string
}

/** A client that resumes from the last id that it has received, and records what it gets. */
class Client extends Waitable {
  /** The numbers of the events; `NaN` for a gap. */
  readonly seen: number[] = []
  readonly #port: number
  #lastEventId: string | undefined = undefined
  #response: IncomingMessage | null = null
  #isPaused = false

  constructor (port: number) {
    super()
    this.#port = port
  }

  async connect (): Promise<void> {
    const headers = this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId }
    const request = get({ host: '127.0.0.1', port: this.#port, agent: false, headers })
    const [response] = await once(request, 'response') as [IncomingMessage]
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        if (response !== this.#response) return
        // Events of a response that the client has left are ignored.
        if (id !== undefined) this.#lastEventId = id
        this.seen.push(event === 'gap' ? NaN : (JSON.parse(data) as Data).n)
        this.changed()
      }
    })
    this.#response = response
    response.setEncoding('utf8').on('data', (text: string) => parser.feed(text)).on('error', () => {})
    if (this.#isPaused) response.pause()
  }

  async move (move: Move): Promise<void> {
    if (move === 'leave') {
      this.leave()
      await this.connect()
    } else if (move !== 'nothing') {
      this.#isPaused = move === 'pause'
      if (this.#isPaused) this.#response?.pause()
      else this.#response?.resume()
    }
  }

  leave (): void {
    this.#response?.destroy()
    this.#response = null
  }
}

const CLIENTS = 6
const move = fc.constantFrom<Move[]>('nothing', 'nothing', 'leave', 'pause', 'resume')
const moves = fc.array(move, { minLength: CLIENTS, maxLength: CLIENTS })
const runs = fc.record<Run>({
  maxEvents: fc.oneof(fc.integer({ min: 2, max: 20 }), fc.constant(10_000)),
  size: fc.constantFrom(10, 1000, 400_000),
  from: fc.constantFrom('now', 'start'),
  bursts: fc.array(fc.record({ count: fc.integer({ min: 1, max: 20 }), moves }), { minLength: 3, maxLength: 8 })
})

let gaps = 0

async function run (t: Test, { maxEvents, size, from, bursts }: Run): Promise<void> {
  const log = new MemoryEventLog<Data>({ maxEvents, maxBytes: 2 ** 28, from })
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(log, { heartbeat: false }))
  await listen(app)
  let appended = 0
  const append = (): Promise<string> => log.append({ data: { n: appended++, text: 'x'.repeat(size) } })
  const clients = Array.from({ length: CLIENTS }, () => new Client(portOf(app)))
  for (const client of clients) await client.connect()
  // All clients get this event, so that each has an id from which it can resume.
  await append()
  await Promise.all(clients.map((client) => client.until(({ seen }) => seen.length > 0)))
  for (const { count, moves } of bursts) {
    for (let i = 0; i < count; i++) {
      await append()
      if (i % 4 === 0) await immediate()
    }
    await Promise.all(clients.map((client, i) => client.move(moves[i] ?? 'nothing')))
  }
  for (const client of clients) {
    await client.move('resume')
    await client.until(({ seen }) => seen.at(-1) === appended - 1)
    client.leave()
    check(client.seen)
  }
  await app.close()
}

/** Throws unless each event follows the one before it, or a gap is between the two. */
function check (seen: readonly number[]): void {
  let last = -1
  for (const [i, n] of seen.entries()) {
    if (Number.isNaN(n)) {
      gaps++
    } else {
      const isAfterGap = Number.isNaN(seen[i - 1] ?? 0)
      if (isAfterGap ? n <= last : n !== last + 1) throw new Error(`${n} after ${last} in ${seen.join()}`)
      last = n
    }
  }
}

t.test('Should give clients that leave, come back and stop reading all in order, or a gap first', async (t) => {
  await fc.assert(fc.asyncProperty(runs, (given) => run(t, given)), { numRuns: 25, endOnFailure: true })
  t.ok(gaps > 0, `${gaps} gaps`)
})
