import t from 'tap'
import type { SseOptions } from '../index.ts'
import { resolveOptions, resolvePluginOptions } from '../lib/options.ts'
import { Probe, buildApp } from './fixtures/app.ts'
import { immediate } from './fixtures/waits.ts'

// Node tells a deprecation once in a process: this file has one of its own, and the tests are in this order.
const warnings: Array<Error & { code?: string }> = []
process.on('warning', (warning) => warnings.push(warning))

t.test('Should not warn of the option encodeOnce', async (t) => {
  t.equal(resolvePluginOptions({ encodeOnce: false }).defaults.encodeOnce, false)
  await immediate()
  t.same(warnings, [])
})

t.test('Should take the former name of encodeOnce at registration and at the call, and warn once', async (t) => {
  let count = 0
  const serializer = (): string => String(++count)
  const app = await buildApp(t, { share: false, serializer })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  app.get('/once', (_request, reply) => reply.sse(probe.source, { share: true }))
  for (const [url, expected] of [['/', [1, 2]], ['/once', [3, 3]]] as const) {
    const responses = [app.inject(url), app.inject(url)]
    const opened = probe.subscribed + 2
    await probe.until(({ subscribed }) => subscribed === opened)
    probe.next({ data: {} })
    probe.complete()
    t.same((await Promise.all(responses)).map(({ payload }) => payload), expected.map((data) => `:\n\ndata: ${data}\n\n`))
  }

  const { defaults } = resolvePluginOptions({ share: false })
  t.equal(resolveOptions(defaults, { share: true }).encodeOnce, true)
  t.equal(resolveOptions(defaults, { share: undefined }).encodeOnce, false)
  t.match(warnings, [{ name: 'DeprecationWarning', code: 'FST_SSE_DEP001', message: /"share" is now called "encodeOnce"/ }])
  t.equal(warnings.length, 1)
})

t.test('Should refuse what it cannot be, by the name that was given', async (t) => {
  for (const share of [0, 1, 'yes', null, {}]) {
    const expected = { code: 'FST_SSE_INVALID_OPTION', message: /^The option "share" must be true or false/ }
    t.throws(() => resolvePluginOptions({ share } as unknown as SseOptions), expected)
  }
  t.equal(warnings.length, 1)
})
