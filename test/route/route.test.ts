import { once } from 'node:events'
import { EventSource } from 'eventsource'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { NEVER, concat, interval, map, of } from 'rxjs'
import t from 'tap'
import sse from '../../index.ts'
import type { SseContext, SseSource } from '../../index.ts'
import { Probe, RawClient, buildApp, eventsOf, listen } from '../fixtures/app.ts'
import { CONNECTING, OPEN, EventSourceLog, observe } from '../fixtures/event-source.ts'
import { INPUTS } from '../fixtures/inputs.ts'

const TWO = ':\n\ndata: 1\n\ndata: 2\n\n'

/** Makes a promise of another library, which has a method then() and nothing else. */
function thenable (then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void): never {
  return { then } as never // oxlint-disable-line unicorn/no-thenable -- that is what it is to be
}

async function * countTo (request: FastifyRequest) {
  for (let i = 1; i <= Number((request.params as { to: string }).to); i++) yield { data: i }
}

const oneAndTwo = () => of(1, 2)
const pass = async (_request: unknown, _reply: unknown, payload: unknown) => payload

t.test('Should stream what the handler returns to an EventSource, and release it when that leaves', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/sse', { sse: true }, () => concat(of({ data: { hello: 'world' }, id: 1 }, { type: 'tick', data: 'two' }), probe.source))
  const source = new EventSource(`${await listen(app)}/sse`)
  t.teardown(() => source.close())
  const sightings = new EventSourceLog()
  observe(source, ['tick'], sightings.add)
  await sightings.until(({ events }) => events.length === 2)
  t.same(sightings.events, [['message', '{"hello":"world"}'], ['tick', 'two']])
  t.match(sightings.all[0], { type: 'open', readyState: OPEN })
  t.equal(app.sse.size, 1)
  source.close()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should give an EventSource that comes back what follows its last id', async (t) => {
  const app = await buildApp(t)
  const asked: Array<string | undefined> = []
  app.get('/', { sse: { retry: 0 } }, () => ({ lastEventId }: SseContext) => {
    asked.push(lastEventId)
    return lastEventId === undefined ? of({ id: 7, data: 'a' }) : concat(of('b'), NEVER)
  })
  const source = new EventSource(await listen(app))
  t.teardown(() => source.close())
  const sightings = new EventSourceLog()
  observe(source, [], sightings.add)
  await sightings.until(({ events }) => events.length === 2)
  t.same(asked, [undefined, '7'])
  t.same(sightings.errors, [CONNECTING])
})

for (const [name, make] of Object.entries(INPUTS)) {
  t.test(`Should stream ${name} that the handler returns, resolves to, or gives a factory of`, async (t) => {
    const app = await buildApp(t)
    const source = make as () => SseSource
    app.get('/sync', { sse: true }, () => source())
    app.get('/async', { sse: true }, async () => source())
    app.get('/factory', { sse: true }, () => source as never)
    app.get('/async-factory', { sse: true }, async () => (async () => source()) as never)
    const url = await listen(app)
    for (const path of ['/sync', '/async', '/factory', '/async-factory']) {
      const response = await fetch(url + path)
      t.equal(response.headers.get('content-type'), 'text/event-stream')
      t.equal(await response.text(), TWO, path)
    }
  })
}

t.test('Should take a generator for a handler', async (t) => {
  const app = await buildApp(t)
  app.route({ method: 'GET', url: '/async/:to', sse: true, handler: countTo })
  app.get('/sync', { sse: true }, function * () { yield * [1, 2] })
  const url = await listen(app)
  t.equal(await (await fetch(`${url}/async/2`)).text(), TWO)
  t.equal(await (await fetch(`${url}/sync`)).text(), TWO)
})

t.test('Should take a thenable that is no promise, and what it rejects with', async (t) => {
  const app = await buildApp(t)
  const error = Object.assign(new Error('no'), { statusCode: 418 })
  app.get('/resolves', { sse: true }, () => thenable((resolve) => resolve(of(1, 2))))
  app.get('/rejects', { sse: true }, () => thenable((_resolve, reject) => reject(error)))
  t.equal((await app.inject('/resolves')).payload, TWO)
  t.equal((await app.inject('/rejects')).statusCode, 418)
})

for (const method of ['get', 'post', 'put', 'delete', 'patch', 'options'] as const) {
  t.test(`Should serve app.${method}()`, async (t) => {
    const app = await buildApp(t)
    app[method]('/sse', { sse: true }, () => of(1, 2))
    app[method]('/within', { sse: true, handler: () => of(1, 2) })
    const url = await listen(app)
    for (const path of ['/sse', '/within']) {
      t.equal(await (await fetch(url + path, { method: method.toUpperCase() })).text(), TWO, path)
    }
  })
}

t.test('Should serve app.all(), app.head() and routes of several methods', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.all('/all', { sse: true }, (request) => request.method === 'HEAD' ? probe.source : of(1, 2))
  app.head('/head', { sse: true }, () => probe.source)
  app.route({ method: ['GET', 'POST'], url: '/several', sse: true, handler: async () => of(1, 2) })
  const url = await listen(app)
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    t.equal(await (await fetch(`${url}/all`, { method })).text(), TWO, method)
  }
  for (const method of ['GET', 'POST']) t.equal(await (await fetch(`${url}/several`, { method })).text(), TWO, method)
  for (const path of ['/all', '/head', '/several']) {
    const response = await fetch(url + path, { method: 'HEAD' })
    t.equal(response.status, 200, path)
    t.equal(response.headers.get('content-type'), 'text/event-stream', path)
  }
  t.equal(probe.subscribed, 0)
})

t.test('Should give the handler the instance, the request and the reply that Fastify gives', async (t) => {
  const app = await buildApp(t)
  const seen: unknown[] = []
  app.register(async (scope) => {
    scope.decorate('mine', 'of the scope')
    scope.get('/:id', { sse: true }, function (request, reply) {
      seen.push((this as FastifyInstance & { mine: string }).mine, request.params, request.query, reply.request === request)
      reply.code(201).header('x-mine', '1')
      return of(1, 2)
    })
  }, { prefix: '/scope' })
  const response = await app.inject('/scope/a?b=c')
  t.match(response, { statusCode: 201, headers: { 'x-mine': '1' }, payload: TWO })
  t.strictSame(JSON.parse(JSON.stringify(seen)), ['of the scope', { id: 'a' }, { b: 'c' }, true])
})

t.test('Should serve prefixes, with and without the slash at their end', async (t) => {
  const app = await buildApp(t)
  app.register(async (scope) => {
    scope.get('/', { sse: { retry: 1 } }, () => of(1, 2))
    scope.register(async (inner) => { inner.get('/deep', { sse: true }, () => of(1, 2)) }, { prefix: '/inner' })
  }, { prefix: '/outer' })
  const payload = TWO.replace(':\n', 'retry: 1\n')
  t.equal((await app.inject('/outer')).payload, payload)
  t.equal((await app.inject('/outer/')).payload, payload)
  t.equal((await app.inject('/outer/inner/deep')).payload, TWO)
})

t.test('Should know the option in the scopes of the plugin alone', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async (scope) => {
    await scope.register(sse, { retry: 1 })
    scope.get('/within', { sse: true }, () => of(1, 2))
  })
  await app.register(async (scope) => {
    await scope.register(sse, { retry: 2 })
    scope.get('/sibling', { sse: true }, () => of(1, 2))
  })
  app.get('/outside', { sse: true }, () => [1, 2])
  t.equal((await app.inject('/within')).payload, TWO.replace(':\n', 'retry: 1\n'))
  t.equal((await app.inject('/sibling')).payload, TWO.replace(':\n', 'retry: 2\n'))
  t.equal((await app.inject('/outside')).payload, '[1,2]')
})

t.test('Should leave a route alone that says false, undefined, or nothing', async (t) => {
  const app = await buildApp(t)
  app.get('/false', { sse: false }, async () => [1, 2])
  app.get('/undefined', { sse: undefined }, () => [1, 2])
  app.get('/nothing', () => [1, 2])
  for (const url of ['/false', '/undefined', '/nothing']) {
    const response = await app.inject({ url, headers: { accept: 'application/json' } })
    t.same(response.json(), [1, 2])
    t.equal(response.headers['vary'], undefined)
  }
})

t.test('Should stream once for a route that another plugin adds like it', async (t) => {
  const app = await buildApp(t)
  let calls = 0
  const handlers = new Set<unknown>()
  app.addHook('onRoute', function (route) {
    handlers.add(route.handler)
    if (route.url !== '/original' || route.method !== 'GET') return
    this.route({ ...route, url: '/copy', sse: { retry: 2 } } as Parameters<FastifyInstance['route']>[0])
  })
  app.get('/original', { sse: { retry: 1 }, exposeHeadRoute: false }, () => {
    calls++
    return of(1, 2)
  })
  t.equal((await app.inject('/original')).payload, TWO.replace(':\n', 'retry: 1\n'))
  const copy = await app.inject('/copy')
  t.equal(copy.payload, TWO.replace(':\n', 'retry: 2\n'))
  t.equal(copy.headers['vary'], 'Accept')
  t.equal(calls, 2)
  t.equal(handlers.size, 1)
})

t.test('Should leave what the user gave as it was', async (t) => {
  const app = await buildApp(t)
  const config = Object.freeze({ mine: 1 })
  const options = Object.freeze({ sse: Object.freeze({ retry: 1 }), config, onSend: Object.freeze([pass]) as [typeof pass] })
  app.get('/a', options, oneAndTwo)
  app.get('/b', options, oneAndTwo)
  app.get('/config', { sse: true, config }, (request) => of(JSON.stringify(request.routeOptions.config)))
  for (const url of ['/a', '/b']) t.equal((await app.inject(url)).payload, TWO.replace(':\n', 'retry: 1\n'))
  t.match((await app.inject('/config')).payload, 'data: {"mine":1,"url":"/config","method":"GET"}')
})

t.test('Should refuse a request by its schema before the handler is called', async (t) => {
  const app = await buildApp(t)
  const querystring = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
  app.get('/', { sse: true, schema: { querystring } }, (request) => of((request.query as { n: number }).n))
  t.equal((await app.inject('/')).statusCode, 400)
  t.equal((await app.inject('/?n=3')).payload, ':\n\ndata: 3\n\n')
})

t.test('Should run the hooks of the route, and stream over them', async (t) => {
  const app = await buildApp(t)
  const ran: string[] = []
  app.get('/', {
    sse: true,
    preHandler: async () => { ran.push('preHandler') },
    onSend: async (_request, reply, payload) => {
      ran.push('onSend')
      reply.header('x-hook', 'ran')
      return payload
    }
  }, () => of(1, 2))
  const response = await fetch(await listen(app))
  t.equal(response.headers.get('x-hook'), 'ran')
  t.equal(await response.text(), TWO)
  t.same(ran, ['preHandler', 'onSend'])
})

t.test('Should outlive handlerTimeout once it streams', async (t) => {
  const app = await buildApp(t)
  app.get('/', { sse: true, handlerTimeout: 20 }, async () => interval(30).pipe(map((data) => ({ data }))))
  const response = await fetch(await listen(app))
  const datas: string[] = []
  for await (const { data } of eventsOf(response)) {
    if (datas.push(data) === 2) break
  }
  t.same(datas, ['0', '1'])
})

t.test('Should release the source of a client that leaves without a word', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.post('/', { sse: true }, async () => probe.source)
  await listen(app)
  const client = new RawClient(app)
  client.socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}')
  await client.until(/\r\n\r\n/)
  client.socket.destroy()
  await once(client.socket, 'close')
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})
