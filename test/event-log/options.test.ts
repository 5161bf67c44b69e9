import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLogOptions, EventLogReadOptions } from '../../index.ts'
import { resolveLogOptions } from '../../lib/event-log/options.ts'

const INVALID = 'FST_SSE_INVALID_OPTION'
const UNKNOWN = 'FST_SSE_UNKNOWN_OPTION'

for (const { options, code, message } of [
  { options: null, code: INVALID, message: 'The option "options" must be an object; it is null' },
  { options: 'now', code: INVALID, message: 'The option "options" must be an object; it is \'now\'' },
  {
    options: { maxEvent: 1 },
    code: UNKNOWN,
    message: 'The option "maxEvent" is not known here; there are maxEvents, maxBytes, maxAge, from, gap'
  },
  { options: { filter: () => true }, code: UNKNOWN, message: /"filter" is not known here/ },
  {
    options: { maxEvents: 0 },
    code: INVALID,
    message: 'The option "maxEvents" must be a whole number of events from 1; it is 0'
  },
  { options: { maxEvents: 1.5 }, code: INVALID, message: /"maxEvents" .* it is 1\.5/ },
  { options: { maxEvents: Infinity }, code: INVALID, message: /"maxEvents" .* it is Infinity/ },
  { options: { maxEvents: '10' }, code: INVALID, message: /"maxEvents" .* it is '10'/ },
  { options: { maxEvents: null }, code: INVALID, message: /"maxEvents" .* it is null/ },
  {
    options: { maxBytes: -1 },
    code: INVALID,
    message: 'The option "maxBytes" must be a whole number of bytes from 1; it is -1'
  },
  { options: { maxBytes: NaN }, code: INVALID, message: /"maxBytes" .* it is NaN/ },
  {
    options: { maxAge: 0 },
    code: INVALID,
    message: 'The option "maxAge" must be a whole number of milliseconds from 1, or false; it is 0'
  },
  { options: { maxAge: true }, code: INVALID, message: /"maxAge" .* it is true/ },
  { options: { from: 'end' }, code: INVALID, message: 'The option "from" must be \'now\' or \'start\'; it is \'end\'' },
  { options: { gap: { type: 'gap' } }, code: INVALID, message: /^The option "gap" must be a function; it is {/ },
  { options: { gap: false }, code: INVALID, message: /"gap" must be a function; it is false/ }
]) {
  t.test(`Should refuse a log with ${JSON.stringify(options)}: ${message}`, async (t) => {
    t.throws(() => new MemoryEventLog(options as EventLogOptions), { code, message })
  })
}

for (const { lastEventId, options, code, message } of [
  { lastEventId: 1, code: INVALID, message: 'The option "lastEventId" must be a string; it is 1' },
  { lastEventId: null, code: INVALID, message: /"lastEventId" .* it is null/ },
  { lastEventId: { id: '1' }, code: INVALID, message: /"lastEventId" must be a string; it is {/ },
  { options: null, code: INVALID, message: 'The option "options" must be an object; it is null' },
  { options: () => true, code: INVALID, message: /"options" must be an object; it is \[/ },
  {
    options: { filters: () => true },
    code: UNKNOWN,
    message: 'The option "filters" is not known here; there are filter, map, signal'
  },
  { options: { from: 'start' }, code: UNKNOWN, message: /"from" is not known here/ },
  { options: { filter: 'mine' }, code: INVALID, message: 'The option "filter" must be a function; it is \'mine\'' },
  { options: { map: null }, code: INVALID, message: 'The option "map" must be a function; it is null' },
  { options: { signal: true }, code: INVALID, message: 'The option "signal" must be an AbortSignal; it is true' }
]) {
  t.test(`Should refuse at once to read with ${JSON.stringify({ lastEventId, options })}: ${message}`, async (t) => {
    const log = new MemoryEventLog()
    const after = (): unknown => log.after(lastEventId as unknown as string, options as unknown as EventLogReadOptions)
    t.throws(after, { code, message })
  })
}

t.test('Should have the defaults that are documented', async (t) => {
  const { gap: defaultGap, ...rest } = resolveLogOptions({})
  t.same(rest, { bounds: { maxEvents: 10_000, maxBytes: 16_777_216, maxAge: Infinity }, from: 'now', bookmarkEvery: 100 })
  t.same(defaultGap({ lastEventId: 'a', oldest: null }), { type: 'gap', data: '{"lastEventId":"a","oldest":null}' })
})

t.test('Should take undefined for an option that is not given', async (t) => {
  const given = { maxEvents: undefined, maxBytes: undefined, maxAge: undefined, from: undefined, gap: undefined }
  t.same(resolveLogOptions(given), resolveLogOptions({}))
  t.doesNotThrow(() => new MemoryEventLog(given).after(undefined, { filter: undefined, map: undefined }))
})

const gap = (): undefined => {}

t.test('Should take what the options allow', async (t) => {
  t.same(resolveLogOptions({ maxEvents: 1, maxBytes: 1, maxAge: 1, from: 'start', gap }), {
    bounds: { maxEvents: 1, maxBytes: 1, maxAge: 1 }, from: 'start', gap, bookmarkEvery: 1
  })
  t.equal(resolveLogOptions({ maxAge: false }).bounds.maxAge, Infinity)
})
