import t from 'tap'
import type { SseOptions, SsePluginOptions } from '../index.ts'
import { resolveOptions, resolvePluginOptions } from '../lib/options.ts'
import type { ResolvedOptions } from '../lib/options.ts'

const { defaults } = resolvePluginOptions({})

/** Options of a call, as JavaScript may give them. */
function resolve (options: unknown, base: ResolvedOptions = defaults): ResolvedOptions {
  return resolveOptions(base, options as SseOptions)
}

function register (options: unknown) {
  return resolvePluginOptions(options as SsePluginOptions)
}

function latest (): string {
  return 'key'
}

t.test('Should take what each limit may be', async (t) => {
  t.equal(resolve({ buffer: { maxBytes: 1 } }).buffer.maxBytes, 1)
  t.equal(resolve({ buffer: { maxBytes: Number.MAX_SAFE_INTEGER } }).buffer.maxBytes, Number.MAX_SAFE_INTEGER)
  for (const overflow of ['disconnect', 'drop-oldest', 'drop-newest', { latest }]) {
    t.same(resolve({ buffer: { overflow } }).buffer.overflow, overflow)
  }
  for (const milliseconds of [1, 2 ** 31 - 1]) {
    t.equal(resolve({ stallTimeout: milliseconds }).stallTimeout, milliseconds)
    t.equal(resolve({ maxDuration: milliseconds }).maxDuration, milliseconds)
  }
  t.equal(resolve({ maxDuration: false }, resolve({ maxDuration: 5 })).maxDuration, null)
  t.equal(resolve({ encodeOnce: false }).encodeOnce, false)
  t.equal(resolve({ encodeOnce: true }, resolve({ encodeOnce: false })).encodeOnce, true)
})

t.test('Should merge the buffer member by member', async (t) => {
  const base = resolve({ buffer: { maxBytes: 5, overflow: 'drop-newest' } })
  t.same(resolve({ buffer: { maxBytes: 7 } }, base).buffer, { maxBytes: 7, overflow: 'drop-newest' })
  t.same(resolve({ buffer: { overflow: 'drop-oldest' } }, base).buffer, { maxBytes: 5, overflow: 'drop-oldest' })
  t.same(resolve({ buffer: { maxBytes: undefined, overflow: undefined } }, base).buffer, base.buffer)
  t.same(resolve({ buffer: {} }, base).buffer, base.buffer)
  t.same(resolve({ buffer: undefined }, base).buffer, base.buffer)
  t.same(resolve({ buffer: { overflow: { latest } } }, base).buffer, { maxBytes: 5, overflow: { latest } })
  const { defaults } = register({ buffer: { maxBytes: 9 } })
  t.same(defaults.buffer, { maxBytes: 9, overflow: 'disconnect' })
})

t.test('Should take undefined for an option that is not given', async (t) => {
  const base = resolve({ stallTimeout: 5, maxDuration: 6, encodeOnce: false })
  t.match(resolve({ stallTimeout: undefined, maxDuration: undefined, encodeOnce: undefined }, base), { stallTimeout: 5, maxDuration: 6, encodeOnce: false })
})

t.test('Should refuse what a limit cannot be, by its name', async (t) => {
  const refused: ReadonlyArray<readonly [options: unknown, option: string]> = [
    [{ buffer: 5 }, 'buffer'], [{ buffer: null }, 'buffer'], [{ buffer: 'drop-oldest' }, 'buffer'],
    ...[0, -1, 1.5, NaN, Infinity, '5', null, 2 ** 53].map((maxBytes) => [{ buffer: { maxBytes } }, 'buffer.maxBytes'] as const),
    ...['drop', '', null, 5, {}, { latest: 'key' }, { latest, other: 1 }, { latset: latest }, latest, ['drop-oldest']]
      .map((overflow) => [{ buffer: { overflow } }, 'buffer.overflow'] as const),
    ...[0, -1, 1.5, NaN, Infinity, '5', null, false, 2 ** 31].map((stallTimeout) => [{ stallTimeout }, 'stallTimeout'] as const),
    ...[0, -1, 1.5, NaN, Infinity, '5', null, true, 2 ** 31].map((maxDuration) => [{ maxDuration }, 'maxDuration'] as const),
    ...[0, 1, 'yes', null, {}].map((encodeOnce) => [{ encodeOnce }, 'encodeOnce'] as const)
  ]
  for (const [options, option] of refused) {
    const expected = { code: 'FST_SSE_INVALID_OPTION', message: new RegExp(`^The option "${option}" must be `) }
    t.throws(() => resolve(options), expected)
    t.throws(() => register(options), expected)
  }
  t.throws(() => resolve({ buffer: { maxbytes: 5 } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"buffer\.maxbytes"/ })
})

t.test('Should take a limit of connections at registration alone', async (t) => {
  t.equal(register({}).server.maxConnections, null)
  t.equal(register({ maxConnections: undefined }).server.maxConnections, null)
  t.same(register({ maxConnections: 5 }).server.maxConnections, { limit: 5, answer: 'retry' })
  t.same(register({ maxConnections: 0 }).server.maxConnections, { limit: 0, answer: 'retry' })
  t.same(register({ maxConnections: { limit: 5 } }).server.maxConnections, { limit: 5, answer: 'retry' })
  t.same(register({ maxConnections: { limit: 5, answer: 503 } }).server.maxConnections, { limit: 5, answer: 503 })
  for (const maxConnections of [-1, 1.5, NaN, Infinity, '5', null, true, {}, { limit: -1 }, { limit: '5' }, { answer: 503 }]) {
    t.throws(() => register({ maxConnections }), { code: 'FST_SSE_INVALID_OPTION', message: /^The option "maxConnections(\.limit)?" must be / })
  }
  for (const answer of [429, '503', null, '']) {
    t.throws(() => register({ maxConnections: { limit: 5, answer } }), { code: 'FST_SSE_INVALID_OPTION', message: /"maxConnections\.answer"/ })
  }
  t.throws(() => register({ maxConnections: { limit: 5, retry: 5 } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"maxConnections\.retry"/ })
  t.throws(() => resolve({ maxConnections: 5 }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"maxConnections" .* it is given at registration/ })
})
