import { EventSource } from 'eventsource'
import { NEVER, Subject, concat, of, throwError } from 'rxjs'
import t from 'tap'
import type { SseOptions } from '../../index.ts'
import { buildApp, eventsOf, listen, parse } from '../fixtures/app.ts'
import { EventSourceLog, observe } from '../fixtures/event-source.ts'
import { Logs } from '../fixtures/logs.ts'

const USER = { type: 'object', properties: { name: { type: 'string' } } } as const
const user = { name: 'ada', passwordHash: 'secret' }

type Content = Readonly<Record<string, { readonly schema: object }>>

/** Makes a response schema with one media type. */
function response (status: string, type = 'text/event-stream', schema: object = USER) {
  return { [status]: { description: 'events', content: { [type]: { schema } } as Content } }
}

function own (name: string): SseOptions {
  return { serializer: () => name }
}

async function datasAt (url: string): Promise<string[]> {
  return parse(await (await fetch(url)).text()).map(({ data }) => data)
}

t.test('Should not let undeclared fields of the data out, declarative or imperative', async (t) => {
  const app = await buildApp(t)
  const schema = { response: response('200') }
  app.get('/declarative', { sse: true, schema }, () => concat(of({ data: user, type: 'user', id: 1 }), NEVER))
  app.get('/imperative', { schema }, (_request, reply) => reply.sse(concat(of({ data: user, type: 'user', id: 1 }), NEVER)))
  const url = await listen(app)
  for (const path of ['/declarative', '/imperative']) {
    const source = new EventSource(url + path)
    t.teardown(() => source.close())
    const sightings = new EventSourceLog()
    observe(source, ['user'], sightings.add)
    await sightings.until(({ events }) => events.length === 1)
    t.same(sightings.events, [['user', '{"name":"ada"}']])
  }
})

const KEYS = [
  response('2xx'), response('2XX'), response('default'), response('200', 'text/event-stream; charset=utf-8'),
  response('200', 'Text/Event-Stream'), response('2xx', 'TEXT/EVENT-STREAM;charset=utf-8'),
  response('200', '*/*'), { ...response('200', 'application/json'), ...response('2xx') }, { ...response('404'), ...response('default') },
  { 200: { content: { 'application/json': { schema: { type: 'string' } }, 'text/event-stream': { schema: USER } } } },
  { ...response('2xx', 'text/event-stream', { type: 'object' }), ...response('200') },
  { ...response('default', 'text/event-stream', { type: 'object' }), ...response('2xx') }
]

t.test('Should find the schema by status, class and default, whatever the case and parameters of its type', async (t) => {
  const app = await buildApp(t)
  for (const [index, found] of KEYS.entries()) app.get(`/${index}`, { sse: true, schema: { response: found } }, () => of({ data: user }))
  const url = await listen(app)
  for (const [index, found] of KEYS.entries()) t.same(await datasAt(`${url}/${index}`), ['{"name":"ada"}'], JSON.stringify(found))
})

const OTHERS = [
  {}, response('201'), response('5xx'), response('200', 'application/json'), response('200', 'text/event-streams'),
  { 200: { type: 'object', properties: {} } }
]

t.test('Should serialise as JSON where no schema is for event streams', async (t) => {
  const app = await buildApp(t)
  for (const [index, response] of OTHERS.entries()) app.get(`/${index}`, { sse: true, schema: { response } }, () => of({ data: user }))
  app.get('/none', { sse: true, schema: {} }, () => of({ data: user }))
  app.setNotFoundHandler((_request, reply) => reply.sse(of({ data: user })))
  const url = await listen(app)
  for (const path of [...OTHERS.keys(), 'none', 'not-found']) t.same(await datasAt(`${url}/${path}`), [JSON.stringify(user)], String(path))
})

t.test('Should take the schema of the status that the reply has', async (t) => {
  const app = await buildApp(t)
  const schema = {
    response: {
      ...response('200'), ...response('202', 'text/event-stream', { type: 'object', properties: { passwordHash: { type: 'string' } } })
    }
  }
  app.get('/:status', { sse: true, schema }, (request, reply) => {
    reply.code(Number((request.params as { status: string }).status))
    return of({ data: user })
  })
  const url = await listen(app)
  // The second request gets the options that were made for the first.
  for (const _time of [1, 2]) {
    t.same(await datasAt(`${url}/200`), ['{"name":"ada"}'])
    t.same(await datasAt(`${url}/202`), ['{"passwordHash":"secret"}'])
    t.same(await datasAt(`${url}/203`), [JSON.stringify(user)])
  }
})

t.test('Should leave strings as they are, and serialise bare values', async (t) => {
  const app = await buildApp(t)
  app.get('/', { sse: true, schema: { response: response('200', 'text/event-stream', { type: 'array', items: USER }) } },
    () => of<Array<string | object[]>>('text', 'two\nlines', [user]))
  t.same(await datasAt(await listen(app)), ['text', 'two\nlines', '[{"name":"ada"}]'])
})

t.test('Should follow references to shared schemas', async (t) => {
  const app = await buildApp(t)
  app.addSchema({ $id: 'user', ...USER })
  app.get('/', { sse: true, schema: { response: response('200', 'text/event-stream', { $ref: 'user#' }) } }, () => of({ data: user }))
  app.register(async (scope) => {
    scope.addSchema({ $id: 'within', type: 'object', properties: { user: { $ref: 'user#' } } })
    scope.get('/within', { sse: true, schema: { response: response('200', 'text/event-stream', { $ref: 'within#' }) } },
      () => of({ data: { user, secret: 1 } }))
  })
  const url = await listen(app)
  t.same(await datasAt(url), ['{"name":"ada"}'])
  t.same(await datasAt(`${url}/within`), ['{"user":{"name":"ada"}}'])
})

t.test('Should use the compiler of the route, or of its scope', async (t) => {
  const app = await buildApp(t)
  const seen: unknown[] = []
  const schema = { response: response('200', 'text/event-stream', { mine: true }) }
  app.get('/route', {
    sse: true,
    schema,
    serializerCompiler: ({ schema, httpStatus, contentType }) => {
      seen.push([schema, httpStatus, contentType])
      return (data) => `route ${Object.keys(data as object).join()}`
    }
  }, () => of({ data: user }))
  app.register(async (scope) => {
    scope.setSerializerCompiler(() => (data) => `scope ${Object.keys(data as object).join()}`)
    scope.get('/scope', { sse: true, schema }, () => of({ data: user }))
  })
  const url = await listen(app)
  t.same(await datasAt(`${url}/route`), ['route name,passwordHash'])
  t.same(await datasAt(`${url}/scope`), ['scope name,passwordHash'])
  t.same(seen[0], [{ mine: true }, '200', 'text/event-stream'])
})

t.test('Should prefer the serializer of the call, of the route, of the schema, of the plugin, in this order', async (t) => {
  const app = await buildApp(t, { serializer: () => 'plugin' })
  const schema = { response: response('200') }
  app.get('/plugin', { sse: true }, () => of({ data: user }))
  app.get('/schema', { sse: true, schema }, () => of({ data: user }))
  app.get('/schema-with-options', { sse: { retry: 1, serializer: undefined }, schema }, () => of({ data: user }))
  app.get('/route', { sse: own('route'), schema }, () => of({ data: user }))
  app.get('/call', { sse: own('route'), schema }, (_request, reply) => reply.sse(of({ data: user }), own('call')))
  app.get('/call-over-schema', { schema }, (_request, reply) => reply.sse(of({ data: user }), own('call')))
  app.get('/undefined', { schema }, (_request, reply) => reply.sse(of({ data: user }), { serializer: undefined, retry: 2 }))
  const url = await listen(app)
  for (const [path, data] of Object.entries({
    plugin: 'plugin', schema: '{"name":"ada"}', 'schema-with-options': '{"name":"ada"}', route: 'route', call: 'call',
    'call-over-schema': 'call', undefined: '{"name":"ada"}'
  })) t.same(await datasAt(`${url}/${path}`), [data], path)
})

const MESSAGES = {
  heartbeat: { interval: 10, message: { type: 'beat', data: { beat: 1 } } },
  finite: { type: 'done', data: { ok: true } },
  onError: (error: unknown) => ({ type: 'failed', data: { reason: (error as Error).message } })
} as const satisfies SseOptions

t.test('Should not hold the messages of options against the schema', async (t) => {
  const app = await buildApp(t)
  const schema = { response: response('200') }
  app.get('/finite', { sse: MESSAGES, schema }, () => of({ data: user }))
  app.get('/failing', { sse: MESSAGES, schema }, () => concat(of({ data: user }), throwError(() => new Error('why'))))
  app.get('/call', { schema }, (_request, reply) => reply.sse(of({ data: user }), MESSAGES))
  app.get('/beat', { sse: MESSAGES, schema }, () => NEVER)
  const url = await listen(app)
  const events = async (path: string, count: number) => {
    const seen: Array<[type: string | undefined, data: string]> = []
    for await (const { event, data } of eventsOf(await fetch(url + path))) {
      if (seen.push([event, data]) === count) break
    }
    return seen
  }
  t.same(await events('/finite', 2), [[undefined, '{"name":"ada"}'], ['done', '{"ok":true}']])
  t.same(await events('/call', 2), [[undefined, '{"name":"ada"}'], ['done', '{"ok":true}']])
  t.same(await events('/failing', 2), [[undefined, '{"name":"ada"}'], ['failed', '{"reason":"why"}']])
  t.same(await events('/beat', 1), [['beat', '{"beat":1}']])
})

t.test('Should make the messages of options with the serializer that is given beside them', async (t) => {
  const app = await buildApp(t, { serializer: () => 'plugin' })
  const schema = { response: response('200') }
  app.get('/plugin', { sse: { finite: MESSAGES.finite }, schema }, () => of({ data: user }))
  app.get('/route', { sse: { serializer: () => 'route', finite: MESSAGES.finite }, schema }, () => of({ data: user }))
  const url = await listen(app)
  t.same(await datasAt(`${url}/plugin`), ['{"name":"ada"}', 'plugin'])
  t.same(await datasAt(`${url}/route`), ['route', 'route'])
})

t.test('Should fail the stream with what the compiled serializer throws', async (t) => {
  const app = await buildApp(t)
  const data = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
  const schema = { response: response('200', 'text/event-stream', data) }
  app.get('/bad', { sse: true, schema }, () => of({ data: { n: 'no number' } }))
  app.get('/missing', { sse: true, schema }, () => of({ data: {} }))
  const url = await listen(app)
  for (const path of ['/bad', '/missing']) {
    const answer = await fetch(url + path)
    t.equal(answer.status, 500)
    t.match(await answer.json(), { code: 'FST_SSE_SERIALIZATION', message: /^The field "data" .* the serializer threw: / })
  }
})

t.test('Should encode once for all connections of a route', async (t) => {
  const app = await buildApp(t)
  let calls = 0
  const hot = new Subject<{ data: object }>()
  let subscribers = 0
  const schema = { response: response('200') }
  const handler = () => {
    subscribers++
    return hot
  }
  app.get('/', { sse: true, schema, serializerCompiler: () => (data) => { calls++; return JSON.stringify(data) } }, handler)
  const url = await listen(app)
  const readers = await Promise.all([1, 2, 3].map(async () => eventsOf(await fetch(url))))
  t.equal(subscribers, 3)
  hot.next({ data: user })
  for (const reader of readers) t.equal((await reader.next()).value?.data, JSON.stringify(user))
  t.equal(calls, 1)
})

t.test('Should give each of two routes with one schema its own compiled serializer', async (t) => {
  const app = await buildApp(t)
  const schema = { response: response('200') }
  for (const name of ['a', 'b']) {
    app.get(`/${name}`, { sse: true, schema, serializerCompiler: () => () => name }, () => of({ data: user }))
  }
  const url = await listen(app)
  for (const name of ['a', 'b']) t.same(await datasAt(`${url}/${name}`), [name])
})

t.test('Should serialise and not validate', async (t) => {
  const app = await buildApp(t)
  const data = { type: 'object', properties: { n: { type: 'integer' }, s: { type: 'string' } } }
  const schema = { response: response('200', 'text/event-stream', data) }
  app.get('/', { sse: true, schema }, () => of({ data: { n: 1.5, s: 7 } }))
  t.same(await datasAt(await listen(app)), ['{"n":1,"s":"7"}'])
})

t.test('Should warn of a route whose schema is not for event streams, and would not serialise them', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  const routes = [
    { 200: USER }, response('200', 'application/json'), { default: USER }, response('200'), response('2xx', '*/*'), { 400: USER },
    { 200: USER, ...response('default') }
  ]
  for (const [index, found] of routes.entries()) app.get(`/${index}`, { sse: true, schema: { response: found } }, () => NEVER)
  app.get('/own', { sse: own('own'), schema: { response: { 200: USER } } }, () => NEVER)
  t.match(logs.alarms, [{ url: '/0', response: '200' }, { url: '/1', response: '200' }, { url: '/2', response: 'default' }])
  t.equal(logs.alarms.length, 3)
  t.match(logs.alarms[0], { msg: /declare content\["text\/event-stream"\]/ })
})
