import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { deferred, immediate } from '../fixtures/one-route.ts'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** Adds a route with a handler of JavaScript, whose result no compiler checks. */
function add (app: FastifyInstance, url: string, handler: Handler): void {
  app.get(url, { sse: true }, handler as () => never)
}

async function buildLogged (t: Test): Promise<{ app: FastifyInstance, logs: Logs }> {
  const logs = new Logs()
  return { app: await buildApp(t, {}, { logger: logs.logger }), logs }
}

const OWN_ANSWERS: Readonly<Record<string, Handler>> = {
  'returns reply.send()': (_request, reply) => reply.send({ own: true }),
  'calls reply.send()': (_request, reply) => { reply.send({ own: true }) },
  'calls reply.send() and returns the reply': (_request, reply) => { reply.send({ own: true }); return reply },
  'calls reply.send() later': (_request, reply) => { setImmediate(() => reply.send({ own: true })) },
  'returns the reply and sends later': (_request, reply) => { setImmediate(() => reply.send({ own: true })); return reply },
  'is async and returns reply.send()': async (_request, reply) => reply.send({ own: true }),
  'is async and calls reply.send()': async (_request, reply) => { reply.send({ own: true }) },
  'is async and awaits reply.send()': async (_request, reply) => { await reply.send({ own: true }) },
  'is async and sends later': async (_request, reply) => { setImmediate(() => reply.send({ own: true })); return reply },
  'sends a stream of bytes': (_request, reply) => reply.type('application/json').send(Readable.from([Buffer.from('{"own":true}')]))
}

for (const [name, handler] of Object.entries(OWN_ANSWERS)) {
  t.test(`Should leave a handler alone that ${name}`, async (t) => {
    const { app, logs } = await buildLogged(t)
    add(app, '/', handler)
    const response = await fetch(await listen(app))
    t.equal(response.status, 200)
    t.match(response.headers.get('content-type'), /^application\/json/)
    t.same(await response.json(), { own: true })
    t.same(logs.alarms, [])
  })
}

t.test('Should leave a handler alone that redirects, or hijacks the reply', async (t) => {
  const { app, logs } = await buildLogged(t)
  add(app, '/redirect', (_request, reply) => reply.redirect('/elsewhere'))
  add(app, '/hijack', (_request, reply) => { reply.hijack().raw.end('by hand') })
  add(app, '/async-hijack', async (_request, reply) => { reply.hijack().raw.end('by hand') })
  add(app, '/late-hijack', async (_request, reply) => {
    reply.hijack()
    setImmediate(() => reply.raw.end('by hand'))
    return of(1)
  })
  const url = await listen(app)
  const redirect = await fetch(`${url}/redirect`, { redirect: 'manual' })
  t.equal(redirect.status, 302)
  t.equal(redirect.headers.get('location'), '/elsewhere')
  for (const path of ['/hijack', '/async-hijack', '/late-hijack']) t.equal(await (await fetch(url + path)).text(), 'by hand', path)
  t.same(logs.alarms, [])
})

const CALLS: Readonly<Record<string, Handler>> = {
  'returns reply.sse()': (_request, reply) => reply.sse(of(1)),
  'calls reply.sse()': (_request, reply) => { reply.sse(of(1)) },
  'calls reply.sse() later': (_request, reply) => { setImmediate(() => reply.sse(of(1))) },
  'is async and returns reply.sse()': async (_request, reply) => reply.sse(of(1)),
  'is async and calls reply.sse()': async (_request, reply) => { reply.sse(of(1)) }
}

for (const [name, handler] of Object.entries(CALLS)) {
  t.test(`Should stream once for a handler that ${name}`, async (t) => {
    const { app, logs } = await buildLogged(t)
    add(app, '/', handler)
    t.equal(await (await fetch(await listen(app))).text(), ':\n\ndata: 1\n\n')
    t.same(logs.alarms, [])
  })
}

t.test('Should stream what reply.sse() was called with, whatever the handler returns then', async (t) => {
  const { app, logs } = await buildLogged(t)
  const probe = new Probe()
  add(app, '/sync', (_request, reply) => { reply.sse(of(1)); return probe.source })
  add(app, '/async', async (_request, reply) => { reply.sse(of(1)); return probe.source })
  const url = await listen(app)
  for (const path of ['/sync', '/async']) {
    t.equal(await (await fetch(url + path)).text(), ':\n\ndata: 1\n\n', path)
    t.match(logs.alarms.pop(), { level: LEVEL.warn, err: { code: 'FST_ERR_REP_ALREADY_SENT' } })
  }
  t.equal(probe.subscribed, 0)
})

const ORIGIN = 'is not a source of events; a handler of a route with the option "sse" returned it: '
const ANSWER = `${ORIGIN}return an Observable, an iterable, a stream of objects or a factory of one, or answer with ` +
  'reply.send() and return the reply'

const NO_SOURCES: ReadonlyArray<readonly [name: string, make: () => unknown, message: string]> = [
  ['a string', () => 'text', `'text' ${ORIGIN}it would be sent character by character: give an Observable of it, of(string)`],
  ['a number', () => 12, `12 ${ANSWER}`],
  ['true', () => true, `true ${ANSWER}`],
  ['null', () => null, `null ${ANSWER}`],
  ['a message', () => ({ data: 1 }), `an object ${ORIGIN}it is one message: give an Observable of it, of(message)`],
  ['an object', () => ({ a: 1 }), `an object ${ANSWER}`],
  ['a Buffer', () => Buffer.from('a'),
    `an instance of Buffer ${ORIGIN}bytes have no events in them: parse them into messages, or answer with reply.send()`],
  ['a stream of bytes', () => Readable.from([Buffer.from('a')], { objectMode: false }),
    `an instance of Readable ${ORIGIN}bytes have no events in them: parse them into messages, or answer with reply.send()`]
]

for (const [name, make, message] of NO_SOURCES) {
  t.test(`Should say that ${name} is no source`, async (t) => {
    const app = await buildApp(t)
    add(app, '/sync', () => make())
    add(app, '/async', async () => make())
    const url = await listen(app)
    for (const path of ['/sync', '/async']) {
      const response = await fetch(url + path)
      t.equal(response.status, 500)
      t.match(await response.json(), { code: 'FST_SSE_INVALID_SOURCE', message }, path)
    }
  })
}

t.test('Should say that an async handler has resolved to nothing, and answered nothing', async (t) => {
  const app = await buildApp(t)
  add(app, '/', async () => { await immediate() })
  const response = await fetch(await listen(app))
  t.equal(response.status, 500)
  t.match(await response.json(), { code: 'FST_SSE_INVALID_SOURCE', message: `undefined ${ANSWER}` })
})

t.test('Should give what is no source to the error handler of the route', async (t) => {
  const app = await buildApp(t)
  app.get('/', {
    sse: true,
    errorHandler: (error, _request, reply) => reply.code(418).send({ mine: (error as { code?: string }).code })
  }, (() => 'text') as () => never)
  const response = await app.inject('/')
  t.match(response, { statusCode: 418, payload: '{"mine":"FST_SSE_INVALID_SOURCE"}' })
})

t.test('Should answer what the handler throws or rejects with, as Fastify does', async (t) => {
  const app = await buildApp(t)
  const error = Object.assign(new Error('no'), { statusCode: 418, code: 'MINE' })
  app.get('/sync', { sse: true }, () => { throw error })
  app.get('/async', { sse: true }, async () => { throw error })
  app.get('/factory', { sse: true }, () => () => { throw error })
  const url = await listen(app)
  for (const path of ['/sync', '/async', '/factory']) {
    const response = await fetch(url + path)
    t.equal(response.status, 418, path)
    t.match(response.headers.get('content-type'), /^application\/json/)
    t.match(await response.json(), { code: 'MINE', message: 'no' })
  }
})

t.test('Should destroy a stream that it cannot send', async (t) => {
  const app = await buildApp(t)
  const objects: Readable[] = []
  app.get('/bytes', { sse: true }, (() => keep(Readable.from([Buffer.from('a')], { objectMode: false }))) as () => never)
  app.get('/type', { sse: true }, (_request, reply) => {
    reply.type('text/html')
    return keep(Readable.from([1]))
  })
  for (const [url, code] of [['/bytes', 'FST_SSE_INVALID_SOURCE'], ['/type', 'FST_SSE_CONTENT_TYPE']] as const) {
    t.match((await app.inject(url)).json(), { code })
  }
  t.same(objects.map(({ destroyed }) => destroyed), [true, true])

  function keep (readable: Readable): Readable {
    objects.push(readable)
    return readable
  }
})

t.test('Should cancel the source that a handler resolves to after its timeout', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  const readable = Readable.from([1])
  const { promise, resolve } = deferred<void>()
  app.get('/', { sse: true, handlerTimeout: 10 }, async () => {
    await promise
    return readable
  })
  const response = await fetch(await listen(app))
  t.equal(response.status, 503)
  resolve()
  await logs.until(({ err }) => err?.code === 'FST_ERR_REP_ALREADY_SENT')
  t.ok(readable.destroyed)
})

t.test('Should not complain of a handler whose client has left, nor subscribe', async (t) => {
  const { app, logs } = await buildLogged(t)
  const probe = new Probe()
  let called = deferred<void>()
  let done = deferred<void>()
  const handlers: Readonly<Record<string, Handler>> = {
    '/reply': async (_request, reply) => reply,
    '/nothing': async (_request, reply) => { await new Promise((resolve) => reply.raw.once('close', resolve)) },
    '/source': async (_request, reply) => {
      await new Promise((resolve) => reply.raw.once('close', resolve))
      return probe.source
    }
  }
  for (const [url, handler] of Object.entries(handlers)) {
    add(app, url, (request, reply) => {
      const returned = handler(request, reply)
      reply.raw.once('close', () => setImmediate(done.resolve))
      called.resolve()
      return returned
    })
  }
  await listen(app)
  for (const url of Object.keys(handlers)) {
    called = deferred()
    done = deferred()
    const client = new RawClient(app)
    client.get(url)
    await called.promise
    client.socket.destroy()
    await done.promise
    await immediate()
    t.same(logs.alarms, [], url)
  }
  t.equal(probe.subscribed, 0)
  t.equal(app.sse.size, 0)
})

t.test('Should answer with the status of an Error that a handler returns, as everywhere in Fastify', async (t) => {
  const { app } = await buildLogged(t)
  const conflict = Object.assign(new Error('taken'), { statusCode: 409 })
  add(app, '/returned', () => conflict)
  add(app, '/resolved', async () => conflict)
  for (const url of ['/returned', '/resolved']) {
    const { statusCode, body } = await app.inject(url)
    t.match({ statusCode, ...JSON.parse(body) as object }, { statusCode: 409, message: 'taken' })
  }
})
