import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { of } from 'rxjs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import sse, { plugin } from '../index.ts'
import { Probe, RawClient, buildApp, closeAtEnd, listen, parse } from './fixtures/app.ts'

function bare (t: Test): FastifyInstance {
  const app = Fastify()
  closeAtEnd(t, app)
  return app
}

t.test('Should decorate the instance, the reply and the request', async (t) => {
  t.equal(sse, plugin)
  const app = bare(t)
  t.notOk(app.hasDecorator('sse'))
  await app.register(sse)
  t.ok(app.hasDecorator('sse'))
  t.ok(app.hasReplyDecorator('sse'))
  t.ok(app.hasRequestDecorator('lastEventId'))
  t.ok(app.hasPlugin('fastify-rxjs-sse'))
})

t.test('Should give each sibling scope its own options and its own count', async (t) => {
  const app = bare(t)
  const probe = new Probe()
  const scopes: FastifyInstance[] = []
  for (const retry of [1, 2]) {
    await app.register(async (scope) => {
      scopes.push(scope)
      await scope.register(sse, { retry, serializer: (data) => `${retry}: ${JSON.stringify(data)}` })
      scope.get(`/${retry}`, (_request, reply) => reply.sse(of({ data: {} })))
      scope.get(`/${retry}/open`, (_request, reply) => reply.sse(probe.source))
    })
  }
  t.notOk(app.hasReplyDecorator('sse'))
  t.equal((await app.inject('/1')).payload, 'retry: 1\n\ndata: 1: {}\n\n')
  t.equal((await app.inject('/2')).payload, 'retry: 2\n\ndata: 2: {}\n\n')
  await app.inject({ url: '/2/open', payloadAsStream: true })
  t.same(scopes.map((scope) => scope.sse.size), [0, 1])
  await app.close()
  t.equal(probe.unsubscribed, 1)
  t.same(scopes.map((scope) => scope.sse.size), [0, 0])
})

t.test('Should reach the scopes within, with the options of the call over those of registration', async (t) => {
  const app = await buildApp(t, { retry: 1, finite: true })
  app.register(async (scope) => {
    scope.get('/inherited', (_request, reply) => reply.sse(of('a')))
    scope.get('/called', (_request, reply) => reply.sse(of('a'), { retry: 2, finite: false }))
    scope.get('/absent', (_request, reply) => reply.sse(of('a'), { retry: undefined, finite: undefined }))
  }, { prefix: '/within' })
  const inherited = 'retry: 1\n\ndata: a\n\nid: fastify-rxjs-sse:end\nevent: end\ndata:\n\n'
  t.equal((await app.inject('/within/inherited')).payload, inherited)
  t.equal((await app.inject('/within/absent')).payload, inherited)
  t.equal((await app.inject('/within/called')).payload, 'retry: 2\n\ndata: a\n\n')
})

t.test('Should call onOpen and onClose of both places', async (t) => {
  const calls: string[] = []
  const app = await buildApp(t, { onOpen: () => calls.push('open, plugin'), onClose: () => calls.push('close, plugin') })
  app.get('/', (_request, reply) => reply.sse(of('a'), { onOpen: () => calls.push('open, call'), onClose: () => calls.push('close, call') }))
  await app.inject('/')
  t.same(calls, ['open, plugin', 'open, call', 'close, plugin', 'close, call'])
})

t.test('Should refuse to be registered twice', async (t) => {
  const twice = bare(t)
  await twice.register(sse)
  await t.rejects(async () => twice.register(sse), { code: 'FST_SSE_ALREADY_REGISTERED', message: /register it once/ })

  const within = bare(t)
  await within.register(sse)
  within.register(async (scope) => scope.register(sse))
  await t.rejects(async () => { await within.ready() }, { code: 'FST_SSE_ALREADY_REGISTERED' })
})

t.test('Should take the options that Fastify itself puts among those of a plugin', async (t) => {
  const app = bare(t)
  await app.register(sse, { prefix: '/unused', logLevel: 'warn', logSerializers: {} } as never)
  await app.ready()
  t.ok(app.hasReplyDecorator('sse'))
})

t.test('Should count the open streams', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  t.equal(app.sse.size, 0)
  const clients = Array.from({ length: 3 }, () => new RawClient(app))
  for (const [i, client] of clients.entries()) {
    client.get('/')
    await client.until(/:\n\n/)
    t.equal(app.sse.size, i + 1)
  }
  for (const [i, client] of clients.entries()) {
    client.socket.destroy()
    await probe.until(({ unsubscribed }) => unsubscribed === i + 1)
    t.equal(app.sse.size, 2 - i)
  }
  t.throws(() => Object.assign(app.sse, { size: 12 }), TypeError)
})

t.test('Should give the decoded Last-Event-ID to every handler', async (t) => {
  const app = await buildApp(t)
  app.addHook('onRequest', async (request, reply) => { reply.header('x-hook', encodeURIComponent(request.lastEventId ?? 'none')) })
  app.get('/', (request) => ({ lastEventId: request.lastEventId ?? 'none' }))
  await listen(app)
  // As they are on the wire, byte by byte: a client sends UTF-8; what is none stays as Node reads it.
  const headers: ReadonlyArray<readonly [bytes: Buffer | null, id: string]> = [
    [null, 'none'], [Buffer.from('42'), '42'], [Buffer.from(''), ''], [Buffer.from('a b'), 'a b'],
    [Buffer.from('é🌍'), 'é🌍'], [Buffer.from([0xe9]), 'é'], [Buffer.from([0x61, 0xff, 0xfe]), 'aÿþ']
  ]
  for (const [bytes, id] of headers) {
    const client = new RawClient(app)
    const header = bytes === null ? '' : `Last-Event-ID: ${bytes.toString('latin1')}\r\n`
    client.socket.write(Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${header}\r\n`, 'latin1'))
    await client.until(/}$/)
    const [head = '', body = ''] = Buffer.from(client.text, 'latin1').toString().split('\r\n\r\n')
    t.same(JSON.parse(body), { lastEventId: id })
    t.match(head, `x-hook: ${encodeURIComponent(id)}\r\n`)
  }
})

t.test('Should give a factory the id of the header, or else of the query parameter that stands in for it', async (t) => {
  const app = await buildApp(t, { lastEventIdQuery: 'last' })
  app.get('/', (_request, reply) => reply.sse(({ lastEventId }) => of(`${typeof lastEventId} ${lastEventId}`)))
  app.get('/other', (_request, reply) => reply.sse(({ lastEventId }) => of(`${lastEventId}`), { lastEventIdQuery: 'other' }))
  const cases: ReadonlyArray<readonly [url: string, header: string | null, seen: string]> = [
    ['/', null, 'undefined undefined'], ['/?last=3', null, 'string 3'], ['/?last=', null, 'string '], ['/?last=3', '4', 'string 4'],
    ['/?last=3', '', 'string '], ['/?last=5&last=6', null, 'string 5'], ['/?last=%C3%A9', null, 'string é'],
    ['/?other=3', null, 'undefined undefined'], ['/other?other=7&last=8', null, '7']
  ]
  for (const [url, header, seen] of cases) {
    const { payload } = await app.inject({ url, headers: header === null ? {} : { 'last-event-id': header } })
    t.equal(parse(payload)[0]?.data, seen, `${url} ${header}`)
  }
})

t.test('Should work by require()', async (t) => {
  const require = createRequire(import.meta.url)
  const root = new URL('../../', import.meta.url)
  const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { exports: { '.': { default: string } } }
  const required = require(fileURLToPath(new URL(exports['.'].default, root))) as { default: typeof sse, plugin: typeof sse }
  for (const plugin of [required as unknown as typeof sse, required.default, required.plugin]) {
    const app = bare(t)
    await app.register(plugin, { retry: 5 })
    app.get('/', (_request, reply) => reply.sse(of('required')))
    t.equal((await app.inject('/')).payload, 'retry: 5\n\ndata: required\n\n')
  }
})
