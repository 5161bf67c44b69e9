import { Readable } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { observable, of, throwError } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import sse from '../../index.ts'
import type { SseCloseReason } from '../../index.ts'
import { Probe, buildApp, listen } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'

/** Adds a route with options that no compiler checks. */
function add (app: FastifyInstance, url: string, sse: unknown, handler: unknown = () => of('a')): void {
  app.get(url, { sse: sse as true }, handler as () => never)
}

t.test('Should put the options of the route over those of registration, and those of a call over both', async (t) => {
  const app = await buildApp(t, { retry: 1, finite: true })
  const end = 'id: fastify-rxjs-sse:end\nevent: end\ndata:\n\n'
  app.get('/plugin', { sse: true }, () => of('a'))
  app.get('/route', { sse: { retry: 2 } }, () => of('a'))
  app.get('/call', { sse: { retry: 2 } }, (_request, reply) => reply.sse(of('a'), { finite: false }))
  app.get('/call-wins', { sse: { retry: 2 } }, (_request, reply) => reply.sse(of('a'), { retry: 3 }))
  app.get('/undefined', { sse: { retry: undefined } }, (_request, reply) => reply.sse(of('a'), { retry: undefined }))
  app.get('/hook', { sse: { retry: 2 }, preHandler: async (_request, reply) => reply.sse(of('hook')) }, () => of('a'))
  const url = await listen(app)
  const bodyAt = async (path: string) => (await fetch(url + path)).text()
  t.equal(await bodyAt('/plugin'), `retry: 1\n\ndata: a\n\n${end}`)
  t.equal(await bodyAt('/route'), `retry: 2\n\ndata: a\n\n${end}`)
  t.equal(await bodyAt('/call'), 'retry: 2\n\ndata: a\n\n')
  t.equal(await bodyAt('/call-wins'), `retry: 3\n\ndata: a\n\n${end}`)
  t.equal(await bodyAt('/undefined'), `retry: 1\n\ndata: a\n\n${end}`)
  t.equal(await bodyAt('/hook'), `retry: 2\n\ndata: hook\n\n${end}`)
})

t.test('Should call onOpen and onClose of all three places, the outer first', async (t) => {
  const calls: string[] = []
  const note = (place: string) => ({
    onOpen: () => { calls.push(`open, ${place}`) },
    onClose: ({ reason }: { reason: SseCloseReason }) => { calls.push(`${reason}, ${place}`) }
  })
  const app = await buildApp(t, note('plugin'))
  app.get('/', { sse: note('route') }, (_request, reply) => reply.sse(of('a'), note('call')))
  await app.inject('/')
  const places = ['plugin', 'route', 'call']
  t.same(calls, [...places.map((place) => `open, ${place}`), ...places.map((place) => `complete, ${place}`)])
})

t.test('Should know the end of a finite stream again', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', { sse: { finite: true } }, () => probe.source)
  const response = await fetch(await listen(app), { headers: { 'last-event-id': 'fastify-rxjs-sse:end' } })
  t.equal(response.status, 204)
  t.equal(probe.subscribed, 0)
})

t.test('Should answer a failure before the first event with its status', async (t) => {
  const app = await buildApp(t)
  const error = Object.assign(new Error('no'), { statusCode: 418 })
  app.get('/', { sse: { open: 'first-event' } }, () => throwError(() => error))
  t.equal((await fetch(await listen(app))).status, 418)
})

const BAD: ReadonlyArray<readonly [sse: unknown, code: string, message: string]> = [
  ...[null, 0, 1, '', 'yes', [], () => {}].map((sse) =>
    [sse, 'FST_SSE_INVALID_OPTION', 'The option "sse" must be true, false, or an object of options; it is '] as const),
  [{ heartbeat: -1 }, 'FST_SSE_INVALID_OPTION', 'The option "heartbeat" must be'],
  [{ serializer: 1 }, 'FST_SSE_INVALID_OPTION', 'The option "serializer" must be a function; it is 1'],
  [{ beat: 1 }, 'FST_SSE_UNKNOWN_OPTION', 'The option "beat" is not known here; there are heartbeat,'],
  [{ maxConnections: 1 }, 'FST_SSE_UNKNOWN_OPTION', 'The option "maxConnections" is not known here; it is given at registration']
]

t.test('Should refuse a bad option when the route is added', async (t) => {
  const app = await buildApp(t)
  for (const [sse, code, message] of BAD) {
    const error = caught(() => add(app, '/', sse))
    t.equal(error.code, code)
    t.ok(error.message.startsWith(message), error.message)
  }
  t.equal((await app.inject('/')).statusCode, 404)

  const within = await buildApp(t)
  within.register(async (scope) => add(scope, '/', { heartbeat: -1 }))
  await t.rejects(async () => { await within.ready() }, { code: 'FST_SSE_INVALID_OPTION' })
})

function caught (fn: () => void): Error & { readonly code?: string } {
  try {
    fn()
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not throw')
}

t.test('Should leave a missing handler to Fastify', async (t) => {
  const app = await buildApp(t)
  t.throws(() => app.route({ method: 'GET', url: '/', sse: true } as never), { code: 'FST_ERR_ROUTE_MISSING_HANDLER' })
})

t.test('Should answer HEAD with the head alone, and never run the source', async (t) => {
  const callback = (): never => t.fail('it must not be called') as never
  const app = await buildApp(t, { onOpen: callback, onClose: callback })
  const probe = new Probe()
  const readables: Readable[] = []
  let generated = 0
  const sources: Readonly<Record<string, () => unknown>> = {
    observable: () => probe.source,
    factory: () => callback,
    promise: async () => probe.source,
    generator: () => (async function * () { yield generated++ })(),
    readable: () => {
      const readable = new Readable({ objectMode: true, read: () => { generated++ } })
      readables.push(readable)
      return readable
    },
    'async-readable': async () => sources['readable']?.()
  }
  for (const [name, handler] of Object.entries(sources)) {
    add(app, `/${name}`, { open: 'first-event' }, (_request: unknown, reply: { code (status: number): void }) => {
      reply.code(202)
      return handler()
    })
  }
  app.get('/unexposed', { sse: true, exposeHeadRoute: false }, () => probe.source)
  const url = await listen(app)
  for (const name of Object.keys(sources)) {
    const response = await fetch(`${url}/${name}`, { method: 'HEAD' })
    t.equal(response.status, 202, name)
    t.equal(response.headers.get('content-type'), 'text/event-stream')
    t.equal(response.headers.get('vary'), 'Accept')
    t.equal(await response.text(), '')
  }
  t.equal((await fetch(`${url}/unexposed`, { method: 'HEAD' })).status, 404)
  t.equal(probe.subscribed, 0)
  t.equal(generated, 0)
  t.same(readables.map(({ destroyed }) => destroyed), [true, true])
})

t.test('Should answer HEAD with the status of what went wrong', async (t) => {
  const app = await buildApp(t)
  add(app, '/source', true, () => 12)
  add(app, '/throws', true, () => { throw Object.assign(new Error('no'), { statusCode: 418 }) })
  const url = await listen(app)
  t.equal((await fetch(`${url}/source`, { method: 'HEAD' })).status, 500)
  t.equal((await fetch(`${url}/throws`, { method: 'HEAD' })).status, 418)
})

const STREAM_ONLY: Readonly<Record<string, () => unknown>> = {
  'an Observable': () => of(1),
  'an Observable of another library': () => ({ [observable]: () => {}, a: 1 }),
  'a generator': () => (function * () { yield 1 })(),
  'an async generator': () => (async function * () { yield 1 })()
}

async function buildEarly (t: Test): Promise<{ app: FastifyInstance, logs: Logs }> {
  const logs = new Logs()
  const app = Fastify({ logger: logs.logger })
  t.teardown(() => app.close())
  app.register(sse)
  return { app, logs }
}

for (const [name, make] of Object.entries(STREAM_ONLY)) {
  t.test(`Should say that ${name} needs the option, and the plugin before the route`, async (t) => {
    const { app } = await buildEarly(t)
    add(app, '/early', true, make)
    add(app, '/early-async', true, async () => make())
    app.register(async (scope) => {
      add(scope, '/within', true, () => of(1))
      scope.get('/send', (_request, reply) => { reply.send(make()) })
    })
    const url = await listen(app)
    const message = `The answer is ${name.startsWith('an Obs') ? 'an Observable' : 'a generator'}, which Fastify cannot ` +
      'send: return it from the handler of a route with the option "sse", or give it to reply.sse(). Routes that were ' +
      'added before the plugin was loaded lack the option: await app.register(…) first'
    for (const path of ['/early', '/early-async', '/send']) {
      const response = await fetch(url + path)
      t.equal(response.status, 500, path)
      t.match(await response.json(), { code: 'FST_SSE_NOT_A_STREAM_ROUTE', message })
    }
    t.equal(await (await fetch(`${url}/within`)).text(), ':\n\ndata: 1\n\n')
  })
}

t.test('Should let everything else be answered without the option', async (t) => {
  const { app } = await buildEarly(t)
  const answers: Readonly<Record<string, readonly [answer: unknown, body: string]>> = {
    '/object': [{ a: 1 }, '{"a":1}'], '/array': [[1], '[1]'], '/null': [null, 'null'], '/text': ['text', 'text'],
    '/buffer': [Buffer.from('bytes'), 'bytes'], '/map': [new Map([[1, 2]]), '{}']
  }
  for (const [url, [answer]] of Object.entries(answers)) app.get(url, async () => answer)
  app.get('/stream', async () => Readable.from([Buffer.from('bytes')]))
  app.get('/web', async () => Readable.toWeb(Readable.from([Buffer.from('bytes')])))
  const url = await listen(app)
  for (const [path, [, body]] of Object.entries(answers)) t.equal(await (await fetch(url + path)).text(), body, path)
  for (const path of ['/stream', '/web']) t.equal(await (await fetch(url + path)).text(), 'bytes', path)
})
