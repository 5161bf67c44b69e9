import compress from '@fastify/compress'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { EventSource, request } from 'undici'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { OPEN, EventSourceLog, observe } from '../fixtures/event-source.ts'

const WELCOME = [
  '', ' ', ',', '*/*', '*', 'text/*', 'text/event-stream', 'TEXT/Event-Stream', 'Text/*', 'text/event-stream;charset=utf-8',
  'text/event-stream; charset=UTF-8; q=0.5', 'application/json, text/event-stream', 'text/html;level=1,text/event-stream;q=0.1',
  'text/html, */*;q=0.01', 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', 'application/json,\ttext/*;q=0.001',
  'text/*;q=0, text/event-stream', '*/*;q=0, text/*', '*/*;q=0,text/event-stream;q=0.5', 'text/event-stream;q=1.000',
  'text/event-stream;q=0, text/event-stream', 'text/event-stream;q=0, text/event-stream;charset=utf-8',
  // A parameter that is no weight counts for nothing, and a member that is no range is ignored.
  'text/event-stream;q=', 'text/event-stream;q=none', 'text/event-stream;q', 'text/event-stream;q=.', 'text/event-stream;;',
  'nonsense', 'nonsense;q=0, /, text/, /event-stream', 'a/b/c', ';q=0', '"', '"unclosed, text/html', '\\',
  'application/json;x="a, b;q=0", */*', 'application/json;x="\\"", text/event-stream'
]

const REFUSED = [
  'application/json', 'text/html', 'text/html, application/xhtml+xml', 'text/event-stream2', 'x-text/event-stream', 'application/*',
  'text/event-stream;q=0', 'text/event-stream;q=0.000, */*', '*/*, text/event-stream;q=0', 'text/event-stream;Q=0, text/*',
  'text/event-stream; charset=utf-8 ;q=0', 'text/*;q=0', 'text/*;q=0, */*', '*/*;q=0', '*;q=0', '*/*; q=0.0', '*/event-stream',
  'application/json;x="text/event-stream"', 'application/json;x="a,text/event-stream"', 'application/json;x="\\",text/event-stream"',
  'text/event-stream;x=";q=1";q=0', 'nonsense, text/html'
]

async function buildRoutes (t: Test): Promise<{ app: FastifyInstance, probe: Probe, url: string }> {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', { sse: true }, () => of(1))
  app.get('/probe', { sse: true }, () => probe.source)
  app.get('/imperative', (_request, reply) => reply.sse(of(1)))
  return { app, probe, url: await listen(app) }
}

t.test('Should welcome a client that takes an event stream, or does not say', async (t) => {
  const { app, url } = await buildRoutes(t)
  for (const accept of WELCOME) {
    const response = await request(url, { headers: { accept } })
    t.equal(response.statusCode, 200, accept)
    t.equal(response.headers['content-type'], 'text/event-stream')
    t.equal(response.headers['vary'], 'Accept')
    t.equal(await response.body.text(), ':\n\ndata: 1\n\n')
  }
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  client.get('/')
  await client.until(/data: 1/)
  t.match(client.text, /^HTTP\/1.1 200 OK\r\n(.+\r\n)*vary: Accept\r\n/)
})

t.test('Should answer a client that refuses event streams 406, and not call the handler', async (t) => {
  const { probe, url } = await buildRoutes(t)
  for (const accept of REFUSED) {
    const response = await request(`${url}/probe`, { headers: { accept } })
    t.equal(response.statusCode, 406, accept)
    t.equal(response.headers['vary'], 'Accept')
    t.match(await response.body.json(), {
      statusCode: 406,
      error: 'Not Acceptable',
      code: 'FST_SSE_NOT_ACCEPTABLE',
      message: /^The client accepts .+; this route answers with text\/event-stream$/
    })
    const head = await request(`${url}/probe`, { method: 'HEAD', headers: { accept } })
    t.equal(head.statusCode, 406, `HEAD, ${accept}`)
    t.equal(head.headers['vary'], 'Accept')
  }
  t.equal(probe.subscribed, 0)
})

t.test('Should name what the client accepts, in short', async (t) => {
  const { url } = await buildRoutes(t)
  const messageFor = async (accept: string) => (await (await fetch(url, { headers: { accept } })).json() as { message: string }).message
  t.equal(await messageFor('text/html'), "The client accepts 'text/html'; this route answers with text/event-stream")
  t.ok((await messageFor(`text/${'x'.repeat(10_000)}`)).length < 250)
})

t.test('Should add up several headers', async (t) => {
  const { app } = await buildRoutes(t)
  for (const [headers, status] of [
    [['Accept: text/html', 'Accept: text/event-stream'], 200], [['Accept: */*', 'Accept: text/event-stream;q=0'], 406]
  ] as const) {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get('/', ...headers)
    await client.until(new RegExp(`^HTTP/1.1 ${status} `))
  }
})

t.test('Should give a refusal to the error handler', async (t) => {
  const app = await buildApp(t)
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => reply.code(error.statusCode ?? 500).send('mine'))
  app.get('/', { sse: true }, () => of(1))
  const response = await fetch(await listen(app), { headers: { accept: 'text/html' } })
  t.equal(response.status, 406)
  t.equal(response.headers.get('vary'), 'Accept')
  t.equal(await response.text(), 'mine')
})

t.test('Should open an EventSource', async (t) => {
  const { url } = await buildRoutes(t)
  const source = new EventSource(`${url}/probe`)
  t.teardown(() => source.close())
  const sightings = new EventSourceLog()
  observe(source, [], sightings.add)
  await sightings.until(({ all }) => all.length === 1)
  t.match(sightings.all, [{ type: 'open', readyState: OPEN }])
})

t.test('Should not negotiate for reply.sse()', async (t) => {
  const { url } = await buildRoutes(t)
  for (const accept of REFUSED) {
    const response = await request(`${url}/imperative`, { headers: { accept } })
    t.equal(response.statusCode, 200, accept)
    t.equal(response.headers['vary'], undefined)
    await response.body.dump()
  }
})

const VARY: ReadonlyArray<readonly [given: string | string[], sent: string]> = [
  ['Origin', 'Origin, Accept'], ['Accept', 'Accept'], ['accept', 'accept'], ['Origin, ACCEPT', 'Origin, ACCEPT'], ['*', '*'],
  ['Origin, *', 'Origin, *'], ['Accept-Encoding', 'Accept-Encoding, Accept'], ['X-Accept', 'X-Accept, Accept'],
  ['accept , Origin', 'accept , Origin'], [['Origin', 'Accept'], 'Origin, Accept'], [['Origin', 'X-Mine'], 'Origin, X-Mine, Accept'],
  ['', 'Accept']
]

t.test('Should add Accept to a Vary that the user has set, and never twice', async (t) => {
  for (const [given, sent] of VARY) {
    const app = await buildApp(t)
    app.get('/reply', { sse: true }, (_request, reply) => {
      reply.header('Vary', given as string)
      return of(1)
    })
    app.get('/raw', { sse: true }, (_request, reply) => {
      reply.raw.setHeader('Vary', given)
      return of(1)
    })
    app.get('/own', { sse: true }, (_request, reply) => reply.header('vary', given as string).send('own'))
    app.get('/hook', {
      sse: true,
      onSend: async (_request, reply) => { reply.header('vary', given as string) }
    }, () => of(1))
    const url = await listen(app)
    for (const path of ['/reply', '/raw', '/own', '/hook']) {
      for (const method of ['GET', 'HEAD']) {
        const response = await fetch(url + path, { method })
        t.equal(response.headers.get('vary'), sent, `${method} ${path}, ${String(given)}`)
        await response.body?.cancel()
      }
    }
  }
})

t.test('Should vary beside @fastify/cors and @fastify/compress', async (t) => {
  for (const isFirst of [true, false]) {
    const app = await buildApp(t)
    const addPlugins = async () => {
      await app.register(cors, { origin: 'https://example.com', credentials: true })
      await app.register(compress, { global: true, threshold: 0, customTypes: /event-stream/ })
    }
    if (!isFirst) await addPlugins()
    app.get('/', { sse: true }, () => of(1))
    if (isFirst) await addPlugins()
    const response = await fetch(await listen(app), { headers: { origin: 'https://example.com', 'accept-encoding': 'gzip' } })
    t.equal(await response.text(), ':\n\ndata: 1\n\n')
    const names = String(response.headers.get('vary')).toLowerCase().split(', ')
    t.ok(names.includes('accept'), names.join())
    t.same(names, [...new Set(names)])
  }
})

t.test('Should say Vary on answers that are errors, the validation\'s too', async (t) => {
  const app = await buildApp(t)
  app.get('/throws', { sse: true }, () => { throw new Error('no') })
  app.get('/invalid', { sse: true, schema: { querystring: { type: 'object', required: ['n'] } } }, () => of(1))
  for (const [url, status] of [['/throws', 500], ['/invalid', 400]] as const) {
    const response = await app.inject(url)
    t.equal(response.statusCode, status)
    t.equal(response.headers['vary'], 'Accept')
  }
})

t.test('Should read a header of a hundred kilobytes in no time', async (t) => {
  const app = await buildApp(t)
  app.get('/', { sse: true }, () => of(1))
  const size = 2 ** 17
  for (const [name, accept] of Object.entries({
    commas: ','.repeat(size),
    semicolons: `text/html${';'.repeat(size)}`,
    quotes: '"'.repeat(size),
    backslashes: `"${'\\'.repeat(size)}`,
    'quoted quotes': `a/b;x="${'\\"'.repeat(size / 2)}`,
    slashes: '/'.repeat(size),
    spaces: `a/b${' '.repeat(size)};q=0`,
    'spaces without end': `a/b;${' '.repeat(size)}x`,
    digits: `text/event-stream;q=${'0'.repeat(size)}x`,
    ranges: 'text/event-stream;q=0.1,'.repeat(size / 24),
    'a long name': `text/${'x'.repeat(size)}`
  })) {
    const started = performance.now()
    const { statusCode } = await app.inject({ url: '/', headers: { accept } })
    t.ok(statusCode === 200 || statusCode === 406, name)
    t.ok(performance.now() - started < 2000, name)
  }
})
