import Fastify from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import sse from '../index.ts'
import type { SseOptions, SsePluginOptions } from '../index.ts'
import { resolveOptions, resolvePluginOptions } from '../lib/options.ts'
import type { ResolvedOptions } from '../lib/options.ts'
import { buildApp, closeAtEnd } from './fixtures/app.ts'

const { defaults } = resolvePluginOptions({})

/** Options of a call, as JavaScript may give them. */
function resolve (options: unknown, base: ResolvedOptions = defaults): ResolvedOptions {
  return resolveOptions(base, options as SseOptions)
}

/** Options at registration, as JavaScript may give them. */
function register (options: unknown) {
  return resolvePluginOptions(options as SsePluginOptions)
}

/** Options with their frames as text. */
function readable ({ heartbeat, firstFrame, endFrame, ...rest }: ResolvedOptions) {
  return {
    ...rest,
    heartbeat: heartbeat && { ...heartbeat, frame: heartbeat.frame.toString() },
    firstFrame: firstFrame.toString(),
    endFrame: endFrame && endFrame.toString()
  }
}

const serializer = () => 'mine'
const onError = () => 'sorry'

t.test('Should have the documented defaults', async (t) => {
  t.same(readable(defaults), {
    heartbeat: { interval: 15_000, frame: ':\n\n' }, firstFrame: ':\n\n', open: 'immediately', serializer: JSON.stringify,
    optionSerializer: JSON.stringify, endFrame: null, lastEventIdQuery: null, onError: null, onOpen: [], onClose: [], signal: null,
    buffer: { maxBytes: 4 * 1024 * 1024, overflow: 'disconnect' }, stallTimeout: 30_000, maxDuration: null, encodeOnce: true
  })
  t.equal(register({}).server.shutdownRetry, null)
  t.same(resolve(undefined), defaults)
  t.same(resolve({}), defaults)
})

t.test('Should take what each option may be', async (t) => {
  const { signal } = new AbortController()
  t.equal(resolve({ heartbeat: 1 }).heartbeat?.interval, 1)
  t.equal(resolve({ heartbeat: 2 ** 31 - 1 }).heartbeat?.interval, 2 ** 31 - 1)
  t.equal(resolve({ heartbeat: 20 }).heartbeat?.frame.toString(), ':\n\n')
  t.equal(resolve({ heartbeat: false }).heartbeat, null)
  t.equal(resolve({ heartbeat: { interval: 5, message: { type: 'ping' } } }).heartbeat?.interval, 5)
  t.equal(resolve({ heartbeat: { interval: 5, message: { type: 'ping' } } }).heartbeat?.frame.toString(), 'event: ping\ndata:\n\n')
  t.equal(resolve({ heartbeat: { interval: 5, message: null } }).heartbeat?.frame.toString(), 'data: null\n\n')
  t.equal(resolve({ retry: 0 }).firstFrame.toString(), 'retry: 0\n\n')
  t.equal(resolve({ retry: Number.MAX_SAFE_INTEGER }).firstFrame.toString(), 'retry: 9007199254740991\n\n')
  t.equal(resolve({ open: 'first-event' }).open, 'first-event')
  t.equal(resolve({ open: 'immediately' }).open, 'immediately')
  t.equal(resolve({ serializer }).serializer, serializer)
  t.equal(resolve({ finite: false }).endFrame, null)
  t.equal(resolve({ finite: true }).endFrame?.toString(), 'id: fastify-rxjs-sse:end\nevent: end\ndata:\n\n')
  t.equal(resolve({ finite: {} }).endFrame?.toString(), 'id: fastify-rxjs-sse:end\nevent: end\ndata:\n\n')
  t.equal(resolve({ finite: { type: 'bye', data: { a: 1 } } }).endFrame?.toString(), 'id: fastify-rxjs-sse:end\nevent: bye\ndata: {"a":1}\n\n')
  t.equal(resolve({ finite: { data: 'a\nb' } }).endFrame?.toString(), 'id: fastify-rxjs-sse:end\nevent: end\ndata: a\ndata: b\n\n')
  t.equal(resolve({ lastEventIdQuery: 'from' }).lastEventIdQuery, 'from')
  t.equal(resolve({ onError }).onError, onError)
  t.equal(resolve({ signal }).signal, signal)
  t.equal(resolve({ signal: AbortSignal.abort() }).signal?.aborted, true)
})

const BAD: ReadonlyArray<readonly [option: string, value: unknown, message: RegExp]> = [
  ...[0, -1, 1.5, NaN, Infinity, 2 ** 31, '15', null, true, 1n, () => {}].map((value) =>
    ['heartbeat', value, /^The option "heartbeat" must be a whole number of milliseconds from 1 to 2147483647, false, or \{ interval, message \}; it is /] as const),
  ['heartbeat', { interval: 0, message: 'x' }, /"heartbeat\.interval" must be a whole number .* it is 0$/],
  ['heartbeat', { message: 'x' }, /"heartbeat\.interval" .* it is undefined$/],
  ['heartbeat', { interval: 1 }, /"heartbeat\.message" .* it is undefined$/],
  ['heartbeat', { interval: 1, message: {} }, /"heartbeat\.message" must be a message with something to send; it is \{\}$/],
  ['heartbeat', { interval: 1, message: { event: 'x' } }, /"heartbeat\.message" .*"event".*did you mean "type"\?.* it is \{ event: 'x' \}$/],
  ['heartbeat', { interval: 1, message: { id: 'fastify-rxjs-sse:end' } }, /"heartbeat\.message" .*"id"/],
  ...[-1, 1.5, NaN, 2 ** 53, '1', null, true, {}].map((value) =>
    ['retry', value, /^The option "retry" must be a whole number of milliseconds from 0 to 9007199254740991; it is /] as const),
  ...['immediate', '', null, true, 0].map((value) =>
    ['open', value, /^The option "open" must be 'immediately' or 'first-event'; it is /] as const),
  ...['json', null, {}, 1].flatMap((value) => ['serializer', 'onError', 'onOpen', 'onClose'].map((option) =>
    [option, value, new RegExp(`^The option "${option}" must be a function; it is `)] as const)),
  ...['end', 0, null, 1].map((value) => ['finite', value, /^The option "finite" must be true, false, or \{ type, data \}; it is /] as const),
  ['finite', { type: 'a\nb' }, /^The option "finite" must be a message that can be sent \(.*"type".*\); it is \{ type: 'a\\nb' \}$/],
  ['finite', { type: 1 }, /"finite" .*"type"/],
  ['finite', { data: 1n }, /"finite" .*"data"/],
  ...['', 1, null, ['a']].map((value) => ['lastEventIdQuery', value, /^The option "lastEventIdQuery" must be the name of a query parameter; it is /] as const),
  ...[null, {}, new AbortController(), 'x'].map((value) => ['signal', value, /^The option "signal" must be an AbortSignal; it is /] as const)
]

t.test('Should refuse what an option cannot be, in both places', async (t) => {
  for (const [option, value, message] of BAD) {
    t.throws(() => resolve({ [option]: value }), { code: 'FST_SSE_INVALID_OPTION', message, statusCode: 500 })
    t.throws(() => register({ [option]: value }), { code: 'FST_SSE_INVALID_OPTION', message })
  }
  for (const options of [null, 'x', 1, () => {}]) {
    t.throws(() => resolve(options), { code: 'FST_SSE_INVALID_OPTION', message: /"options" must be an object/ })
  }
})

t.test('Should refuse a name that it does not know', async (t) => {
  for (const name of ['heartbeats', 'onerror', 'Retry', 'toString', 'constructor', '__proto__', 'prefix']) {
    const options: unknown = JSON.parse(`{ "${name}": 1 }`)
    t.throws(() => resolve(options), { code: 'FST_SSE_UNKNOWN_OPTION', message: new RegExp(`^The option "${name}" is not known here; there are heartbeat, retry, `) })
  }
  t.throws(() => resolve({ heartbeats: undefined }), { code: 'FST_SSE_UNKNOWN_OPTION' }, 'whatever its value')
  t.throws(() => register({ heartbeats: 1 }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"heartbeats"/ })
  t.throws(() => resolve({ heartbeat: { interval: 1, message: 'x', every: 1 } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"heartbeat\.every"/ })
  t.throws(() => resolve({ finite: { event: 'x' } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"finite\.event"/ })
  t.throws(() => register({ shutdown: { delay: 1 } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"shutdown\.delay"/ })
})

t.test('Should let the nearest win, and inherit what is undefined', async (t) => {
  const base = resolve({
    heartbeat: 10, retry: 20, open: 'first-event', serializer: String, finite: true, lastEventIdQuery: 'from', onError: () => 'a', signal: AbortSignal.abort()
  })
  const none = Object.fromEntries(['heartbeat', 'retry', 'open', 'serializer', 'finite', 'lastEventIdQuery', 'onError', 'onOpen', 'onClose', 'signal']
    .map((name) => [name, undefined]))
  t.same(readable(resolve(none, base)), readable(base))
  const near: SseOptions = { heartbeat: false, retry: 30, open: 'immediately', serializer: JSON.stringify, finite: false, lastEventIdQuery: 'id', onError: () => 'b' }
  const merged = resolve(near, base)
  t.match(readable(merged), { heartbeat: null, firstFrame: 'retry: 30\n\n', open: 'immediately', endFrame: null, lastEventIdQuery: 'id' })
  t.equal(merged.serializer, JSON.stringify)
  t.equal(merged.onError, near.onError)
  t.equal(merged.signal, base.signal)
  t.equal(base.heartbeat?.interval, 10, 'and leaves the base as it is')
})

t.test('Should add up onOpen and onClose', async (t) => {
  const [first, second] = [() => {}, () => {}]
  const base = register({ onOpen: first, onClose: first }).defaults
  const { onOpen, onClose } = resolve({ onOpen: second, onClose: second }, base)
  t.same([onOpen.length, onClose.length], [2, 2])
  t.ok(onOpen[0] === first && onOpen[1] === second)
  t.ok(onClose[0] === first && onClose[1] === second)
  t.equal(base.onOpen.length, 1, 'for one call only')
  t.equal(resolve({}, base).onOpen[0], first)
})

t.test('Should serialize the messages of options with the nearest serializer, wherever it stands', async (t) => {
  const finite = { data: {} }
  const heartbeat = { interval: 1, message: { data: {} } }
  for (const options of [{ serializer, finite, heartbeat }, { heartbeat, finite, serializer }]) {
    const { endFrame, heartbeat } = resolve(options)
    t.match(endFrame?.toString(), 'data: mine\n')
    t.equal(heartbeat?.frame.toString(), 'data: mine\n\n')
  }
  t.match(resolve({ finite }, resolve({ serializer })).endFrame?.toString(), 'data: mine\n', 'also one of the base')
  t.throws(() => resolve({ finite, serializer: () => { throw new Error('no') } }), { code: 'FST_SSE_INVALID_OPTION', message: /"finite".*no/ })
  t.throws(() => resolve({ heartbeat: { interval: 1, message: { get data () { throw 'words' } } } }),
    { code: 'FST_SSE_INVALID_OPTION', message: /"heartbeat\.message" .*\('words'\)/ })
})

t.test('Should take a range for the reconnection times of a shutdown', async (t) => {
  t.same(register({ shutdown: undefined }).server.shutdownRetry, null)
  t.same(register({ shutdown: {} }).server.shutdownRetry, null)
  t.same(register({ shutdown: { retry: undefined } }).server.shutdownRetry, null)
  t.same(register({ shutdown: { retry: [0, 0] } }).server.shutdownRetry, [0, 0])
  const { defaults, server } = register({ shutdown: { retry: [1000, 30_000] } })
  t.same(server.shutdownRetry, [1000, 30_000])
  t.equal(defaults.firstFrame.toString(), 'retry: 3000\n\n', 'every opening undoes it')
  t.equal(register({ shutdown: { retry: [1, 2] }, retry: 50 }).defaults.firstFrame.toString(), 'retry: 50\n\n')
  t.equal(register({ shutdown: {} }).defaults.firstFrame.toString(), ':\n\n')
})

t.test('Should refuse another shutdown', async (t) => {
  for (const shutdown of [null, true, 1, 'x']) t.throws(() => register({ shutdown }), { code: 'FST_SSE_INVALID_OPTION', message: /"shutdown" must be an object/ })
  for (const retry of [null, 1, [], [1], [1, 2, 3], '12']) {
    t.throws(() => register({ shutdown: { retry } }), { code: 'FST_SSE_INVALID_OPTION', message: /"shutdown\.retry" must be two times in milliseconds/ })
  }
  t.throws(() => register({ shutdown: { retry: [-1, 2] } }), { code: 'FST_SSE_INVALID_OPTION', message: /"shutdown\.retry\[0\]".*from 0 .* it is -1$/ })
  t.throws(() => register({ shutdown: { retry: [5, 4] } }), { code: 'FST_SSE_INVALID_OPTION', message: /"shutdown\.retry\[1\]".*from 5 .* it is 4$/ })
  t.throws(() => register({ shutdown: { retry: [1, 2 ** 31] } }), { code: 'FST_SSE_INVALID_OPTION', message: /"shutdown\.retry\[1\]"/ })
  t.throws(() => resolve({ shutdown: { retry: [1, 2] } }), { code: 'FST_SSE_UNKNOWN_OPTION', message: 'The option "shutdown" is not known here; it is given at registration' })
})

t.test('Should accept what Fastify puts among the options of a plugin', async (t) => {
  t.same(readable(register({ prefix: '/x', logLevel: 'warn', logSerializers: {}, retry: 1 }).defaults), readable(resolve({ retry: 1 })))
  const app = Fastify()
  closeAtEnd(t, app)
  await app.register(sse, { prefix: '/x', logLevel: 'warn', logSerializers: {}, retry: 5 })
  app.get('/', (_request, reply) => reply.sse(of('hello')))
  t.equal((await app.inject('/')).payload, 'retry: 5\n\ndata: hello\n\n')
})

t.test('Should refuse at registration, and in the call', async (t) => {
  const bad = Fastify()
  closeAtEnd(t, bad)
  await t.rejects(async () => await bad.register(sse, { heartbeat: -1 }), { code: 'FST_SSE_INVALID_OPTION', message: /"heartbeat".* it is -1$/ })
  const app = await buildApp(t)
  app.get('/', (_request, reply) => {
    t.throws(() => reply.sse(of(1), { heartbeat: -1 }), { code: 'FST_SSE_INVALID_OPTION' })
    return reply.sse(of(1), { shutdown: {} } as SseOptions)
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.match(response.json(), { code: 'FST_SSE_UNKNOWN_OPTION', message: /"shutdown"/ })
})
