import t from 'tap'
import { Observable, of } from 'rxjs'
import type { SseContext, SseSource, SseValue } from '../../index.ts'
import { Probe, RawClient, buildApp, listen, parse } from '../fixtures/app.ts'
import { openOneRoute, whenClosed } from '../fixtures/one-route.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

t.test('Should unsubscribe from an idle source in the turn in which the client leaves', async (t) => {
  const { app, probe, client, atClose, reasons } = await openOneRoute(t)
  client.get('/')
  await client.until(/:\n\n/)
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 0, 1])
  client.socket.destroy()
  t.equal(await atClose(), 1)
  probe.next('nobody hears this')
  await immediate()
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 1, 0])
  t.same(reasons, ['client'])
})

t.test('Should unsubscribe in the midst of a stream', async (t) => {
  const { app, probe, client, atClose, reasons } = await openOneRoute(t)
  client.get('/')
  await probe.until(({ subscribed }) => subscribed === 1)
  // It never stops emitting by itself.
  const timer = setInterval(() => probe.next('tick'), 1)
  t.teardown(() => clearInterval(timer))
  await client.until(/(?:data: tick[^]*){5}/)
  client.socket.destroy()
  t.equal(await atClose(), 1)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['client'])
})

t.test('Should unsubscribe when the client closes its half of the connection', async (t) => {
  const { app, probe, client, atClose } = await openOneRoute(t)
  client.get('/')
  await client.until(/:\n\n/)
  client.socket.end()
  t.equal(await atClose(), 1)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
})

t.test('Should unsubscribe from the source of a POST with a body', async (t) => {
  const { app, probe, client, atClose, reasons } = await openOneRoute(t, { method: 'POST' })
  const head = ['POST / HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', 'Content-Length: 7']
  client.socket.write(`${head.join('\r\n')}\r\n\r\n{"a":1}`)
  await client.until(/:\n\n/)
  probe.next('after the body')
  await client.until(/data: after the body\n\n/)
  t.equal(probe.unsubscribed, 0)
  client.socket.destroy()
  t.equal(await atClose(), 1)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['client'])
})

t.test('Should unsubscribe when the client leaves between the call and the head', async (t) => {
  let open = 0
  const app = await buildApp(t, { onOpen: () => { open++ }, onClose: () => { open-- } })
  const probe = new Probe()
  const { promise: atClose, resolve } = deferred<number>()
  app.get('/', (request, reply) => {
    reply.sse(probe.source)
    void whenClosed(reply.raw, probe).then(resolve)
    request.raw.socket.destroy()
    return reply
  })
  await listen(app)
  new RawClient(app).get('/')
  t.equal(await within(atClose, 'the close of the response'), 1)
  await immediate()
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size, open], [1, 1, 0, 0])
})

for (const [what, wrap] of [
  ['a promise', (promise: Promise<Observable<SseValue>>) => promise],
  ['an async factory', (promise: Promise<Observable<SseValue>>) => () => promise]
] as const) {
  t.test(`Should never subscribe to the source of ${what} that comes when the client has left`, async (t) => {
    const { promise, resolve } = deferred<Observable<SseValue>>()
    const { app, probe, client, atClose, reasons } = await openOneRoute(t, { source: (): SseSource => wrap(promise) })
    client.get('/')
    await client.until(/:\n\n/)
    client.socket.destroy()
    await atClose()
    t.equal(app.sse.size, 0)
    t.same(reasons, ['client'])
    resolve(probe.source)
    await promise
    await immediate()
    t.equal(probe.subscribed, 0)
  })
}

t.test('Should abort the signal of a factory that waits, in the turn in which the client leaves', async (t) => {
  const context = deferred<SseContext>()
  const { client, raw, reasons } = await openOneRoute(t, {
    source: () => (given) => {
      context.resolve(given)
      // Rejects as `fetch` does when its signal fires: that must go unheard, and not unhandled.
      const { signal } = given
      return new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  client.get('/')
  await client.until(/:\n\n/)
  const { signal } = await within(context.promise, 'the call of the factory')
  t.equal(signal.aborted, false)
  const response = await raw()
  const atClose = new Promise((resolve) => response.once('close', () => resolve(signal.aborted)))
  client.socket.destroy()
  t.equal(await within(atClose, 'the close of the response'), true)
  await immediate()
  t.same(reasons, ['client'])
})

for (const kind of ['an Observable', 'a factory']) {
  t.test(`Should leave ${kind} alone where the client has left before the call`, async (t) => {
    const calls: string[] = []
    const app = await buildApp(t, { onOpen: () => { calls.push('onOpen') }, onClose: () => { calls.push('onClose') } })
    const probe = new Probe()
    const { promise: called, resolve } = deferred<void>()
    app.get('/', async (request, reply) => {
      await once(request.raw.socket, 'close')
      if (kind === 'an Observable') reply.sse(probe.source)
      else reply.sse(() => { calls.push('factory'); return probe.source })
      resolve()
      return reply
    })
    await listen(app)
    const client = new RawClient(app)
    client.get('/')
    await once(app.server, 'request')
    client.socket.destroy()
    await within(called, 'the call of the handler')
    await immediate()
    t.same([probe.subscribed, app.sse.size, calls], [0, 0, []])
  })
}

t.test('Should unsubscribe when an onSend hook fails, and answer its error', async (t) => {
  const { app, probe, client, reasons } = await openOneRoute(t, {
    prepare: (app) => app.addHook('onSend', async (_request, _reply, payload) => {
      if (typeof payload !== 'string') throw Object.assign(new Error('not today'), { statusCode: 503 })
    })
  })
  client.get('/', 'Connection: close')
  await once(client.socket, 'close')
  t.match(client.text, /^HTTP\/1.1 503 [^]*"message":"not today"/)
  t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 1, 0])
  t.same(reasons, [])
})

t.test('Should unsubscribe when the client leaves while an onSend hook is under way', async (t) => {
  const hook = deferred<void>()
  const running = deferred<void>()
  const errors: unknown[] = []
  const { app, probe, client, atClose, reasons } = await openOneRoute(t, {
    prepare: (app) => app
      .addHook('onError', async (_request, _reply, error) => { errors.push(error) })
      .addHook('onSend', async () => {
        running.resolve()
        await hook.promise
      })
  })
  client.get('/')
  await within(running.promise, 'the onSend hook')
  t.equal(probe.subscribed, 1)
  client.socket.destroy()
  t.equal(await atClose(), 1)
  hook.resolve()
  await immediate()
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same([reasons, errors], [[], []])
})

t.test('Should unsubscribe when the application closes', async (t) => {
  const { app, probe, client, atClose, reasons } = await openOneRoute(t, { server: { forceCloseConnections: false } })
  client.get('/')
  await client.until(/:\n\n/)
  const closing = app.close()
  t.equal(await atClose(), 1)
  await within(closing, 'app.close()')
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['shutdown'])
})

t.test('Should let go once of a source that emits and completes while it is subscribed to', async (t) => {
  let released = 0
  const numbers = new Observable<number>((subscriber) => {
    for (let i = 0; i < 20_000; i++) subscriber.next(i)
    subscriber.complete()
    return () => { released++ }
  })
  const { app, client, reasons } = await openOneRoute(t, { source: () => numbers })
  const events = parse((await app.inject('/')).payload)
  t.equal(released, 1)
  t.same(events.map(({ data }) => Number(data)), Array.from({ length: 20_000 }, (_, i) => i))

  client.get('/')
  await client.until(/data: 19999\n\n[^]*\r\n0\r\n\r\n/)
  t.same([released, app.sse.size, reasons], [2, 0, ['complete', 'complete']])
})

t.test('Should serve a source that completes with its first value', async (t) => {
  const { app, client, reasons } = await openOneRoute(t, { source: () => of('only') })
  client.get('/')
  await client.until(/data: only\n\n\r\n0\r\n\r\n/)
  t.same([app.sse.size, reasons], [0, ['complete']])
})

t.test('Should let a source that emits while it is subscribed to see that its stream has failed', async (t) => {
  let emitted = 0
  let released = 0
  const endless = new Observable<SseValue>((subscriber) => {
    // As RxJS's own endless sources do; the bound is for the test's sake.
    while (!subscriber.closed && emitted < 1000) subscriber.next(++emitted === 3 ? { id: 'é' } : emitted)
    return () => { released++ }
  })
  const { app, client, reasons } = await openOneRoute(t, { source: () => endless })
  client.get('/')
  await once(client.socket, 'close')
  await waitUntil(() => app.sse.size === 0)
  t.same([emitted, released, reasons], [3, 1, ['error']])
})
