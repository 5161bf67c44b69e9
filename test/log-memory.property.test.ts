import * as fc from 'fast-check'
import t from 'tap'
import { MemoryEventLog } from '../index.ts'
import type { EventLogGap, MessageEvent } from '../index.ts'
import { READER_KINDS, readLog, settle } from './fixtures/log-readers.ts'
import type { LogReader, ReaderKind } from './fixtures/log-readers.ts'
import { WallClock } from './fixtures/wall-clock.ts'

t.setTimeout(120_000)

const clock = new WallClock(t)

type IdKind = 'none' | 'empty' | 'held' | 'before' | 'trimmed' | 'future' | 'other' | 'malformed'

type Step =
  | { readonly type: 'append', readonly sizes: readonly number[] }
  | { readonly type: 'join', readonly kind: ReaderKind, readonly id: IdKind, readonly offset: number, readonly isFiltered: boolean }
  | { readonly type: 'pull', readonly reader: number, readonly count: number }
  | { readonly type: 'leave', readonly reader: number, readonly comesBackAs: ReaderKind | null }
  | { readonly type: 'wait', readonly milliseconds: number }

interface Bounds {
  readonly maxEvents: number
  readonly maxBytes: number
  readonly maxAge: number | false
}

interface Data {
  readonly n: number
  readonly text: string
}

/** What a log holds, by the words of its options. */
class Model {
  readonly ids: string[] = []
  readonly from: 'now' | 'start'
  readonly #bounds: Bounds
  readonly #sizes: number[] = []
  readonly #times: number[] = []
  start = 0

  constructor (bounds: Bounds, from: 'now' | 'start') {
    this.#bounds = bounds
    this.from = from
  }

  append (id: string, data: Data): void {
    this.ids.push(id)
    this.#sizes.push(Buffer.byteLength(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`) + 128)
    this.#times.push(clock.now)
    const { maxEvents, maxBytes } = this.#bounds
    while (this.ids.length - this.start > maxEvents) this.start++
    const held = (): number => this.#sizes.slice(this.start).reduce((sum, size) => sum + size, 0)
    while (held() > maxBytes && this.ids.length - this.start > 1) this.start++
    this.expire()
  }

  expire (): void {
    const { maxAge } = this.#bounds
    if (maxAge === false) return
    while (this.start < this.ids.length && clock.now - Number(this.#times[this.start]) > maxAge) this.start++
  }

  /** The id of what came before an event, which the first has too. */
  idBefore (n: number): string {
    return this.ids[n - 1] ?? this.ids[0]?.replace(/\d+$/, '0') ?? ''
  }

  gap (lastEventId: string | null): string {
    return `gap from ${lastEventId} to ${this.ids[this.start] ?? null}`
  }

  idFor (kind: IdKind, offset: number): string | undefined {
    const { start, ids } = this
    const end = ids.length
    switch (kind) {
      case 'none': return undefined
      case 'empty': return ''
      case 'held': return ids[start + offset % Math.max(1, end - start)] ?? this.idBefore(end)
      case 'before': return this.idBefore(start)
      case 'trimmed': return this.idBefore(Math.max(0, start - 1 - offset))
      case 'future': return this.idBefore(0).replace(/0$/, String(end + 1 + offset))
      case 'other': return `0123456789ab-${offset}`
      case 'malformed': return MALFORMED[offset % MALFORMED.length]?.replace('ID', this.idBefore(end))
    }
  }
}

/** `ID` stands for an id of the log's. */
const MALFORMED = ['ID ', 'ID0000000000000000000', 'ID.0', 'ID-1', ' ID', '0', '-', "'; DROP", 'ID\0', 'ID'.padEnd(2000, '9'), 'é', 'NaN']
const ID = /^(?:[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?)?$/

function isWanted (n: number, isFiltered: boolean): boolean {
  return !isFiltered || n % 3 !== 0
}

/** What one reader must get, and what it got. */
class Reading {
  readonly #model: Model
  readonly #reader: LogReader
  readonly #isFiltered: boolean
  readonly expected: string[] = []
  /** The event that comes next, and what comes before it. */
  #next: number
  #first: string | null
  #wanted: number

  constructor (model: Model, log: MemoryEventLog<Data>, kind: ReaderKind, lastEventId: string | undefined, isFiltered: boolean) {
    model.expire()
    this.#model = model
    this.#isFiltered = isFiltered
    this.#first = null
    const known = lastEventId === undefined ? -1 : model.ids.indexOf(lastEventId)
    if (lastEventId === undefined || lastEventId === '') {
      this.#next = model.from === 'start' ? model.start : model.ids.length
      if (model.from === 'now' && kind === 'an event stream') this.#first = `at ${model.idBefore(this.#next)}`
    } else if (known + 1 >= model.start && (known >= 0 || lastEventId === model.idBefore(0))) {
      this.#next = known + 1
    } else {
      this.#next = model.start
      this.#first = model.gap(ID.test(lastEventId) ? lastEventId : null)
    }
    this.#wanted = kind === 'RxJS' ? Infinity : 0
    const filter = isFiltered ? { filter: ({ data }: MessageEvent<Data>) => isWanted(Number(data?.n), true) } : undefined
    this.#reader = readLog(kind, log, lastEventId, filter)
    this.advance()
  }

  pull (count: number): void {
    this.#wanted += count
    this.#reader.pull(count)
    this.advance()
  }

  leave (): void {
    this.#reader.leave()
    this.#wanted = 0
  }

  /** What comes by itself, as it was asked for. */
  advance (): void {
    const { start, ids } = this.#model
    while (this.#wanted > 0) {
      if (this.#first !== null) {
        this.#expect(this.#first)
        this.#first = null
      } else if (this.#next < start) {
        this.#expect(this.#model.gap(this.#model.idBefore(this.#next)))
        this.#next = start
      } else if (this.#next < ids.length) {
        const n = this.#next++
        if (isWanted(n, this.#isFiltered)) this.#expect(`${n} at ${ids[n]}`)
      } else {
        return
      }
    }
  }

  get got (): string[] {
    return this.#reader.got.map(({ type, id, data }) => {
      if (type === 'gap') {
        const { lastEventId, oldest } = JSON.parse(String(data)) as EventLogGap
        return `gap from ${lastEventId} to ${oldest}`
      }
      return data === undefined ? `at ${id}` : `${(data as Data).n} at ${id}`
    })
  }

  /** The id with which the client would come back. */
  get lastEventId (): string | undefined {
    return this.#reader.got.findLast(({ id }) => id !== undefined)?.id as string | undefined
  }

  check (): void {
    const { got, expected } = this
    if (got.join() !== expected.join()) throw new Error(`got [${got.join(', ')}], expected [${expected.join(', ')}]`)
    if (this.#reader.errors.length > 0) throw this.#reader.errors[0]
    let last = NaN
    for (const item of got) {
      if (item.startsWith('gap')) last = NaN
      const n = Number.parseInt(item, 10)
      if (Number.isNaN(n)) continue
      if (n <= last) throw new Error(`${n} after ${last}`)
      for (let missing = last + 1; missing < n; missing++) {
        if (isWanted(missing, this.#isFiltered)) throw new Error(`${missing} is missing, and no gap tells`)
      }
      last = n
    }
  }

  #expect (item: string): void {
    this.#wanted--
    this.expected.push(item)
  }
}

const kind = fc.constantFrom(...READER_KINDS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('append' as const), sizes: fc.array(fc.nat(300), { minLength: 1, maxLength: 8 }) }) },
  { weight: 3, arbitrary: fc.record({
    type: fc.constant('join' as const),
    kind,
    id: fc.constantFrom<IdKind[]>('none', 'empty', 'held', 'held', 'before', 'trimmed', 'future', 'other', 'malformed'),
    offset: fc.nat(20),
    isFiltered: fc.boolean()
  }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('pull' as const), reader: fc.nat(9), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({
    type: fc.constant('leave' as const), reader: fc.nat(9), comesBackAs: fc.option(kind)
  }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), milliseconds: fc.nat(60) }) }
)
const bounds: fc.Arbitrary<Bounds> = fc.record({
  maxEvents: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(10_000)),
  maxBytes: fc.oneof(fc.integer({ min: 1, max: 4000 }), fc.constant(2 ** 24)),
  maxAge: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant(false as const))
})

/** How often a run came to what matters, so that it is seen that it does. */
const seen = { events: 0, gaps: 0, resumed: 0 }

async function run (bounds: Bounds, from: 'now' | 'start', steps: readonly Step[]): Promise<void> {
  const log = new MemoryEventLog<Data>({ ...bounds, from })
  const model = new Model(bounds, from)
  const present: Reading[] = []
  const all: Reading[] = []
  const join = (kind: ReaderKind, lastEventId: string | undefined, isFiltered: boolean): void => {
    const reading = new Reading(model, log, kind, lastEventId, isFiltered)
    present.push(reading)
    all.push(reading)
  }
  const append = (size: number): void => {
    const data = { n: model.ids.length, text: 'x'.repeat(size) }
    void log.append({ data }).then((id) => ids.push(id))
    // An id is known when the promise settles; its form is known before.
    model.append(name === undefined ? '' : `${name}-${data.n + 1}`, data)
    for (const reading of present) reading.advance()
  }
  const ids: string[] = []
  const firstId = await log.append({ data: { n: 0, text: '' } })
  const name = firstId.replace(/-\d+$/, '')
  ids.push(firstId)
  model.append(firstId, { n: 0, text: '' })

  for (const step of steps) {
    if (step.type === 'append') {
      for (const size of step.sizes) append(size)
    } else if (step.type === 'join') {
      join(step.kind, model.idFor(step.id, step.offset), step.isFiltered)
    } else if (step.type === 'wait') {
      clock.now += step.milliseconds
    } else if (present.length > 0) {
      const index = step.reader % present.length
      const reading = present[index]
      if (step.type === 'pull') {
        reading?.pull(step.count)
      } else {
        present.splice(index, 1)
        await settle()
        reading?.leave()
        if (step.comesBackAs !== null && reading?.lastEventId !== undefined) {
          seen.resumed++
          join(step.comesBackAs, reading.lastEventId, false)
        }
      }
    }
  }
  await settle()
  for (const reading of all) {
    reading.check()
    for (const item of reading.expected) seen[item.startsWith('gap') ? 'gaps' : 'events']++
  }
  if (ids.join() !== model.ids.join()) throw new Error(`appended as ${ids.join()}`)
}

t.test('Should give each reader all that is held from where it was, or a gap first', async (t) => {
  await fc.assert(fc.asyncProperty(bounds, fc.constantFrom('now' as const, 'start' as const), fc.array(step, { maxLength: 40, size: 'max' }), run), { numRuns: 3000 })
  t.ok(seen.events > 3000 && seen.gaps > 1000 && seen.resumed > 1000, JSON.stringify(seen))
})
