import * as fc from 'fast-check'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { Model, Reading } from '../fixtures/log-model.ts'
import type { Bounds, Data, IdKind } from '../fixtures/log-model.ts'
import { READER_KINDS, settle } from '../fixtures/log-readers.ts'
import type { ReaderKind } from '../fixtures/log-readers.ts'
import { WallClock } from '../fixtures/wall-clock.ts'

t.setTimeout(120_000)

const clock = new WallClock(t)

type Step =
  | { readonly type: 'append', readonly sizes: readonly number[] }
  | {
    readonly type: 'join'
    readonly kind: ReaderKind
    readonly id: IdKind
    readonly offset: number
    readonly isFiltered: boolean
  }
  | { readonly type: 'pull', readonly reader: number, readonly count: number }
  | { readonly type: 'leave', readonly reader: number, readonly comesBackAs: ReaderKind | null }
  | { readonly type: 'wait', readonly milliseconds: number }

const kind = fc.constantFrom(...READER_KINDS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({
    type: fc.constant('append' as const),
    sizes: fc.array(fc.nat(300), { minLength: 1, maxLength: 8 })
  }) },
  { weight: 3, arbitrary: fc.record({
    type: fc.constant('join' as const),
    kind,
    id: fc.constantFrom<IdKind[]>('none', 'empty', 'held', 'held', 'before', 'trimmed', 'future', 'other', 'malformed'),
    offset: fc.nat(20),
    isFiltered: fc.boolean()
  }) },
  { weight: 4, arbitrary: fc.record({
    type: fc.constant('pull' as const), reader: fc.nat(9), count: fc.integer({ min: 1, max: 6 })
  }) },
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

/** The counts of what the runs must have met, so that the property is not empty. */
const seen = { events: 0, gaps: 0, resumed: 0 }

async function run (bounds: Bounds, from: 'now' | 'start', steps: readonly Step[]): Promise<void> {
  const log = new MemoryEventLog<Data>({ ...bounds, from })
  const model = new Model(bounds, from, clock)
  const firstId = await log.append({ data: { n: 0, text: '' } })
  model.append(firstId, { n: 0, text: '' })
  const name = firstId.replace(/-\d+$/, '')
  const ids = [firstId]
  const present: Reading[] = []
  const all: Reading[] = []
  const join = (kind: ReaderKind, lastEventId: string | undefined, isFiltered: boolean): void => {
    const reading = new Reading(model, log, kind, lastEventId, isFiltered)
    present.push(reading)
    all.push(reading)
  }
  const append = (size: number): void => {
    const data = { n: model.ids.length, text: 'x'.repeat(size) }
    log.append({ data }).then((id) => ids.push(id), () => {})
    // The id is known only when the promise resolves.
    model.append(`${name}-${data.n + 1}`, data)
    for (const reading of present) reading.advance()
  }
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
  const from = fc.constantFrom('now' as const, 'start' as const)
  const steps = fc.array(step, { maxLength: 40, size: 'max' })
  await fc.assert(fc.asyncProperty(bounds, from, steps, run), { numRuns: 5000 })
  t.ok(seen.events > 3000 && seen.gaps > 1000 && seen.resumed > 1000, JSON.stringify(seen))
})
