import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import type { SseCloseReason, SseOptions, SseSource } from '../../index.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { listenersOf } from '../fixtures/leaks.ts'
import { whenClosed } from '../fixtures/one-route.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

/** `/stream`, that streams a probe, and `/slow`, that is answered when the test says so. */
async function setUp (t: Test, source?: SseSource, options: SseOptions = {}) {
  const reasons: SseCloseReason[] = []
  const app = await buildApp(t, { onClose: ({ reason }) => { reasons.push(reason) } }, { forceCloseConnections: false })
  const probe = new Probe()
  const { promise: answer, resolve: answerSlow } = deferred<string>()
  const { promise: called, resolve } = deferred<{ response: ServerResponse, atClose: Promise<number> }>()
  app.get('/slow', () => answer)
  const contexts: Array<string | undefined> = []
  const storage = new AsyncLocalStorage<string>()
  app.addHook('onRequest', (request, _reply, done) => storage.run(`the request of ${request.url}`, done))
  app.get('/stream', (_request, reply) => {
    reply.sse(source ?? (() => {
      contexts.push(storage.getStore())
      return probe.source
    }), options)
    resolve({ response: reply.raw, atClose: whenClosed(reply.raw, probe) })
    return reply
  })
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  return { app, probe, client, called, contexts, reasons, answerSlow }
}

/** Sends both requests, and waits until the stream waits behind the slow answer. */
async function pipeline ({ client, called }: Awaited<ReturnType<typeof setUp>>) {
  client.get('/slow')
  client.get('/stream')
  return within(called, 'the call of the handler')
}

t.test('Behind a stream, a second request', async (t) => {
  for (const second of ['/slow', '/stream']) {
    t.test(`Should not keep the source when the client leaves: ${second}`, async (t) => {
      const { app, probe, client, called } = await setUp(t)
      client.get('/stream')
      await client.until(/:\n\n/)
      client.get(second)
      const [request] = await once(app.server, 'request') as [IncomingMessage]
      await immediate()
      const { atClose } = await within(called, 'the call of the handler')
      const streams = second === '/stream' ? 2 : 1
      t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 0, streams], 'the second waits for its socket')

      client.socket.destroy()
      await once(client.socket, 'close')
      // Node may have stopped reading the socket: then it is a write that finds out.
      while (!request.socket.destroyed) {
        probe.next('is there anybody?')
        await immediate()
      }
      t.ok(await within(atClose, 'the close of the response') >= 1)
      t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 1, 0])
    })
  }
})

t.test('Before a stream has its socket', async (t) => {
  for (const when of ['in the turn of the call', 'later']) {
    t.test(`Should subscribe to nothing, and forget the stream when the client leaves ${when}`, async (t) => {
      const given = await setUp(t)
      const { app, probe, reasons } = given
      const { response } = await pipeline(given)
      const { socket } = response.req
      t.equal(response.socket, null)
      t.same([probe.subscribed, app.sse.size], [0, 1])
      if (when === 'later') await immediate()
      const closed = once(socket, 'close')
      socket.destroy()
      await closed
      t.same([probe.subscribed, app.sse.size], [0, 0], 'in the turn in which the connection closes')
      await immediate()
      t.same(reasons, [], 'no onOpen, no onClose')
    })
  }

  t.test('Should destroy a source that has begun by itself when the client leaves', async (t) => {
    const readable = new Readable({ objectMode: true, read () {} })
    const { app, client, called } = await setUp(t, readable)
    client.get('/slow')
    client.get('/stream')
    const { response } = await within(called, 'the call of the handler')
    response.req.socket.destroy()
    if (!readable.destroyed) await once(readable, 'close')
    t.equal(readable.destroyed, true)
    t.equal(app.sse.size, 0)
  })

  t.test('Should subscribe when it gets its socket, in the async context of its call', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons, contexts } = given
    const { atClose } = await pipeline(given)
    probe.next('too early')
    await immediate()
    t.equal(client.text, '')
    answerSlow('slow')
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next('live')
    await client.until(/data: live\n\n/)
    t.match(client.text, /^HTTP\/1.1 200 [^]*\r\n\r\nslowHTTP\/1.1 200 [^]*text\/event-stream/)
    t.notMatch(client.text, /too early/, 'what a hot source emitted before is not for this client')
    t.same(contexts, ['the request of /stream'])
    client.socket.destroy()
    t.equal(await within(atClose, 'the close of the response'), 1)
    await immediate()
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
    t.same(reasons, ['client'])
  })

  t.test('Should leave no listener on the socket when it is over', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons } = given
    const { response } = await pipeline(given)
    const { socket } = response.req
    answerSlow('slow')
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next('last')
    probe.complete()
    await client.until(/data: last\n\n[^]*\r\n0\r\n\r\n/)
    if (!response.closed) await once(response, 'close')
    t.equal(app.sse.size, 0)
    t.same(reasons, ['complete'])
    t.equal(socket.destroyed, false)

    const plain = new RawClient(app)
    const [other] = await once(app.server, 'connection')
    plain.get('/slow')
    await plain.until(/slow/)
    await immediate()
    t.same(listenersOf(socket), listenersOf(other), 'as on a socket without a stream')
    plain.socket.destroy()
  })

  t.test('Should never subscribe when the application closes, and end the stream in its turn', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons } = given
    await pipeline(given)
    await immediate()
    const closing = app.close()
    await waitUntil(() => !app.server.listening)
    answerSlow('slow')
    await within(closing, 'app.close()')
    await once(client.socket, 'close')
    t.match(client.text, /slowHTTP\/1.1 200 [^]*:\n\n\r\n0\r\n\r\n$/)
    t.same([probe.subscribed, app.sse.size], [0, 0])
    t.same(reasons, ['shutdown'])
  })

  t.test('Should never subscribe where the signal fires before, and end the stream in its turn', async (t) => {
    const controller = new AbortController()
    const given = await setUp(t, undefined, { signal: controller.signal })
    const { probe, client, answerSlow, reasons } = given
    await pipeline(given)
    controller.abort()
    answerSlow('slow')
    await client.until(/slowHTTP\/1.1 200 [^]*:\n\n\r\n0\r\n\r\n$/)
    t.equal(probe.subscribed, 0)
    await waitUntil(() => reasons.length === 1)
    t.same(reasons, ['aborted'])
  })

  t.test('Should hold thousands of them on one socket with one listener, and no subscription', async (t) => {
    const { app, probe, client, called } = await setUp(t)
    const warnings: string[] = []
    const onWarning = ({ name }: Error): void => { warnings.push(name) }
    process.on('warning', onWarning)
    t.teardown(() => process.removeListener('warning', onWarning))
    client.get('/slow')
    for (let i = 0; i < 2_000; i++) client.get('/stream')
    const { response } = await within(called, 'the call of the handler')
    const { socket } = response.req
    await waitUntil(() => app.sse.size === 2_000)
    t.equal(probe.subscribed, 0)
    t.ok(socket.listenerCount('close') < 10, `${socket.listenerCount('close')} listeners`)
    socket.destroy()
    await waitUntil(() => app.sse.size === 0)
    await immediate()
    t.same([probe.subscribed, warnings.filter((name) => name === 'MaxListenersExceededWarning')], [0, []])
  })
})
