import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Subject, concat, of, throwError } from 'rxjs'
import t from 'tap'
import sse from '../../index.ts'
import { Probe, RawClient, buildApp, closeAtEnd, eventsOf, listen, parse } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { deferred, fetch, immediate, within } from '../fixtures/waits.ts'

type Seen = string[]

function addCallbackHooks (app: FastifyInstance, when: string, seen: Seen): void {
  app.addHook('onRequest', (_request, _reply, done) => { seen.push(`${when} onRequest`); done() })
  app.addHook('preHandler', (_request, _reply, done) => { seen.push(`${when} preHandler`); done() })
  app.addHook('onSend', (_request, reply, payload, done) => {
    seen.push(`${when} onSend`)
    reply.header(`x-${when}`, 'callback')
    done(null, payload)
  })
  app.addHook('onResponse', (_request, _reply, done) => { seen.push(`${when} onResponse`); done() })
}

function addAsyncHooks (app: FastifyInstance, when: string, seen: Seen): void {
  app.addHook('onRequest', async () => { seen.push(`${when} onRequest`) })
  app.addHook('preHandler', async () => { seen.push(`${when} preHandler`) })
  app.addHook('onSend', async (_request, reply) => {
    await immediate()
    seen.push(`${when} onSend`)
    reply.header(`x-${when}`, 'async')
  })
  app.addHook('onResponse', async () => { seen.push(`${when} onResponse`) })
}

for (const [kind, addHooks] of [['callback', addCallbackHooks], ['async', addAsyncHooks]] as const) {
  t.test(`Should run ${kind} hooks that were added before the plugin, and after it`, async (t) => {
    const seen: Seen = []
    const app = Fastify({ forceCloseConnections: true })
    closeAtEnd(t, app)
    addHooks(app, 'before', seen)
    await app.register(sse)
    addHooks(app, 'after', seen)
    const { promise: responded, resolve } = deferred<void>()
    app.addHook('onResponse', async () => resolve())
    app.get('/', (_request, reply) => reply.sse(of('a', 'b')))
    const response = await fetch(await listen(app))
    t.same(parse(await response.text()).map(({ data }) => data), ['a', 'b'])
    t.equal(response.headers.get('x-before'), kind)
    t.equal(response.headers.get('x-after'), kind)
    await within(responded, 'onResponse')
    const names = ['onRequest', 'preHandler', 'onSend', 'onResponse']
    t.same(seen, names.flatMap((name) => [`before ${name}`, `after ${name}`]))
  })
}

for (const name of ['onRequest', 'preHandler'] as const) {
  const hooks: ReadonlyArray<readonly [kind: string, add: (app: FastifyInstance, answer: (reply: FastifyReply) => FastifyReply) => void]> = [
    ['a callback hook', (app, answer) => { app.addHook(name, (_request, reply) => { answer(reply) }) }],
    ['an async hook', (app, answer) => { app.addHook(name, async (_request, reply) => answer(reply)) }],
    ['an async hook without return', (app, answer) => { app.addHook(name, async (_request, reply) => { answer(reply) }) }],
    ['an async hook that goes on', (app, answer) => {
      app.addHook(name, async (_request, reply) => { answer(reply); await immediate(); await immediate() })
    }]
  ]
  for (const [kind, add] of hooks) {
    t.test(`Should answer from ${kind} at ${name} in the handler's place`, async (t) => {
      const app = await buildApp(t)
      add(app, (reply) => reply.sse(of('from', name)))
      app.get('/', async () => t.fail('the handler must not run'))
      const response = await fetch(await listen(app))
      t.equal(response.headers.get('content-type'), 'text/event-stream')
      t.same(parse(await response.text()).map(({ data }) => data), ['from', name])
      t.equal(app.sse.size, 0)
    })
  }
}

t.test('Should answer from a handler of what is not found, and keep its status', async (t) => {
  const app = await buildApp(t)
  app.setNotFoundHandler((_request, reply) => reply.code(404).sse(of('nothing', 'here')))
  app.get('/calls', (_request, reply) => reply.callNotFound())
  const url = await listen(app)
  for (const path of ['/missing', '/calls']) {
    const response = await fetch(url + path)
    t.equal(response.status, 404)
    t.same(parse(await response.text()).map(({ data }) => data), ['nothing', 'here'])
  }
})

t.test('Should answer from error handlers, and keep their status', async (t) => {
  const app = await buildApp(t)
  app.register(async (scope) => {
    scope.setErrorHandler((error: Error, _request, reply) => reply.code(503).sse(of(error.message)))
    scope.get('/sync', () => { throw new Error('sync') })
    scope.get('/source', (_request, reply) => reply.sse(throwError(() => new Error('source'))))
  })
  app.register(async (scope) => {
    scope.setErrorHandler(async (error: Error, _request, reply) => {
      await immediate()
      return reply.code(503).sse(of(error.message))
    })
    scope.get('/async', async () => { throw new Error('async') })
    scope.get('/async-source', (_request, reply) => reply.sse(throwError(() => new Error('async-source'))))
  })
  const url = await listen(app)
  for (const name of ['sync', 'source', 'async', 'async-source']) {
    const response = await fetch(`${url}/${name}`)
    t.equal(response.status, 503)
    t.same(parse(await response.text()).map(({ data }) => data), [name])
  }
  t.equal(app.sse.size, 0)
})

t.test('Should only warn of a second answer', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  const first = new Probe()
  const second = new Probe()
  const { promise: called, resolve } = deferred<{ reply: FastifyReply }>()
  app.get('/', (_request, reply) => {
    reply.sse(first.source)
    t.equal(reply.sse(second.source), reply)
    reply.send({ second: true })
    resolve({ reply })
    return reply
  })
  const response = await fetch(await listen(app))
  // In an object: a reply is a thenable, and a promise would wait for it.
  const { reply } = await within(called, 'the call of the handler')
  reply.sse(second.source)
  reply.send('late')
  first.next('whole')
  first.complete()
  t.same(parse(await response.text()).map(({ data }) => data), ['whole'])
  t.equal(second.subscribed, 0)
  t.same(logs.alarms.map(({ level, err }) => [level, err?.code]), Array.from({ length: 4 }, () => [40, 'FST_ERR_REP_ALREADY_SENT']))
})

t.test('Should lose no event of a hot source that is emitted while an onSend hook takes its time', async (t) => {
  const app = await buildApp(t)
  const hot = new Subject<string>()
  const { promise: isRunning, resolve: run } = deferred<void>()
  const { promise: goesOn, resolve: goOn } = deferred<void>()
  app.addHook('onSend', async () => { run(); await goesOn })
  app.get('/', (_request, reply) => {
    reply.sse(hot)
    hot.next('in the turn of the call')
    queueMicrotask(() => hot.next('in a microtask'))
    return reply
  })
  const pending = fetch(await listen(app))
  await within(isRunning, 'the onSend hook')
  hot.next('in the hook')
  goOn()
  const events = eventsOf(await pending)
  hot.next('when it is open')
  hot.complete()
  const data: string[] = []
  for await (const event of events) data.push(event.data)
  t.same(data, ['in the turn of the call', 'in a microtask', 'in the hook', 'when it is open'])
})

t.test('Should unsubscribe when the client leaves while an onSend hook takes its time', async (t) => {
  const app = await buildApp(t, { onOpen: () => t.fail('it never opened') })
  const probe = new Probe()
  const { promise: isRunning, resolve: run } = deferred<void>()
  const { promise: goesOn, resolve: goOn } = deferred<void>()
  app.addHook('onSend', async () => { run(); await goesOn })
  app.get('/', (_request, reply) => reply.sse(concat(of('waits'), probe.source)))
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await within(isRunning, 'the onSend hook')
  client.socket.destroy()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
  goOn()
  await immediate()
  t.equal(app.sse.size, 0)
})
