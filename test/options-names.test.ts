import { once } from 'node:events'
import t from 'tap'
import { resolveOptions, resolvePluginOptions } from '../lib/options.ts'

const { defaults } = resolvePluginOptions({})

t.test('Should take share for encodeOnce, and warn of it', async (t) => {
  const warning = once(process, 'warning', { signal: AbortSignal.timeout(5_000) })
  t.equal(resolveOptions(defaults, { share: false }).encodeOnce, false)
  const [{ name, code, message }] = await warning
  t.same([name, code], ['DeprecationWarning', 'FST_SSE_DEP001'])
  t.equal(message, 'The option "share" is now called "encodeOnce"')
  t.equal(resolvePluginOptions({ share: false }).defaults.encodeOnce, false)
  t.equal(resolveOptions(resolveOptions(defaults, { share: false }), { share: undefined }).encodeOnce, false)
})

t.test('Should prefer encodeOnce to share, in whatever order they are given', async (t) => {
  t.equal(resolveOptions(defaults, { share: false, encodeOnce: true }).encodeOnce, true)
  t.equal(resolveOptions(defaults, { encodeOnce: true, share: false }).encodeOnce, true)
  t.equal(resolveOptions(defaults, { encodeOnce: undefined, share: false }).encodeOnce, false)
})

t.test('Should refuse what neither can be', async (t) => {
  const refused = [
    [{ share: 'yes', encodeOnce: true }, 'share'],
    [{ share: true, encodeOnce: null }, 'encodeOnce']
  ] as const
  for (const [options, option] of refused) {
    const message = new RegExp(`^The option "${option}" must be true or false`)
    t.throws(() => resolveOptions(defaults, options), { code: 'FST_SSE_INVALID_OPTION', message })
  }
})

t.test('Should not propose share where a name is unknown', async (t) => {
  const names = 'heartbeat, retry, open, serializer, buffer, stallTimeout, maxDuration, encodeOnce, finite, ' +
    'lastEventIdQuery, onError, onOpen, onClose, signal'
  const options: object = { shared: true }
  const message = `The option "shared" is not known here; there are ${names}`
  t.throws(() => resolveOptions(defaults, options), {
    code: 'FST_SSE_UNKNOWN_OPTION', message: new RegExp(`^${message}$`)
  })
  t.throws(() => resolvePluginOptions(options), {
    code: 'FST_SSE_UNKNOWN_OPTION', message: new RegExp(`^${message}, maxConnections, shutdown$`)
  })
})

t.test('Should read own properties alone', async (t) => {
  const inherited = {
    retry: 5, serializer: () => 'inherited', share: false, encodeOnce: false, maxConnections: 1, foreign: true,
    shutdown: { retry: [1, 2] }, interval: 1, message: 'inherited', maxBytes: 1, overflow: 'drop-oldest',
    type: 'inherited', limit: 0, answer: 503
  }
  Object.assign(Object.prototype, inherited)
  t.teardown(() => { for (const name of Object.keys(inherited)) Reflect.deleteProperty(Object.prototype, name) })
  const { defaults: registered, server } = resolvePluginOptions({})
  t.equal(registered.firstFrame, defaults.firstFrame)
  t.equal(registered.serializer, JSON.stringify)
  t.equal(registered.encodeOnce, true)
  t.same(Object.values(server), [null, null])
  t.equal(resolvePluginOptions({ maxConnections: { limit: 5 } }).server.maxConnections?.answer, 'retry')
  const resolved = resolveOptions(registered, { buffer: {}, finite: {} })
  t.same(Object.entries(resolved.buffer), [['maxBytes', 4 * 1024 * 1024], ['overflow', 'disconnect']])
  t.match(resolved.endFrame?.toString(), 'event: end\n')
  t.throws(() => resolveOptions(registered, { heartbeat: { interval: 1 } }), { message: /"heartbeat\.message"/ })
  t.equal(resolveOptions(registered, Object.create({ retry: 7 })).firstFrame, defaults.firstFrame)
})
