import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import type { Test } from 'tap'
import type { SseCloseReason } from '../../index.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { listenersOf } from '../fixtures/leaks.ts'
import { whenClosed } from '../fixtures/one-route.ts'
import { deferred, immediate, once, waitUntil, within } from '../fixtures/waits.ts'

/** `/stream`, that streams a probe, and `/slow`, that is answered when the test says so. */
async function setUp (t: Test) {
  const reasons: SseCloseReason[] = []
  const app = await buildApp(t, { onClose: ({ reason }) => { reasons.push(reason) } }, { forceCloseConnections: false })
  const probe = new Probe()
  const { promise: answer, resolve: answerSlow } = deferred<string>()
  const { promise: called, resolve } = deferred<{ response: ServerResponse, atClose: Promise<number> }>()
  app.get('/slow', () => answer)
  app.get('/stream', (_request, reply) => {
    reply.sse(probe.source)
    resolve({ response: reply.raw, atClose: whenClosed(reply.raw, probe) })
    return reply
  })
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  return { app, probe, client, called, reasons, answerSlow }
}

/** Sends both requests, and waits until the stream is subscribed to, behind the slow one. */
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
      const subscribed = second === '/stream' ? 2 : 1
      t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [subscribed, 0, subscribed])

      client.socket.destroy()
      await once(client.socket, 'close')
      // Node may have stopped reading the socket: then it is a write that finds out.
      while (!request.socket.destroyed) {
        probe.next('is there anybody?')
        await immediate()
      }
      t.ok(await within(atClose, 'the close of the response') >= 1)
      t.same([probe.unsubscribed, app.sse.size], [subscribed, 0])
    })
  }
})

t.test('Before a stream has its socket', async (t) => {
  t.test('Should unsubscribe in the turn in which the client leaves', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, reasons } = given
    const { response } = await pipeline(given)
    const atSocketClose = whenClosed(response.req.socket, probe)
    t.equal(response.socket, null)
    t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [1, 0, 1])
    await immediate()
    client.socket.destroy()
    t.equal(await within(atSocketClose, 'the close of the socket'), 1)
    probe.next('nobody hears this')
    await immediate()
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
    t.same(reasons, ['client'])
  })

  t.test('Should unsubscribe when the client leaves in the turn of the call', async (t) => {
    const given = await setUp(t)
    const { app, probe } = given
    const { response } = await pipeline(given)
    const atSocketClose = whenClosed(response.req.socket, probe)
    t.equal(response.socket, null)
    response.req.socket.destroy()
    t.equal(await within(atSocketClose, 'the close of the socket'), 1)
    await immediate()
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
  })

  t.test('Should send what has waited when it gets one, and unsubscribe when the client leaves then', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons } = given
    const { atClose } = await pipeline(given)
    for (let i = 0; i < 100; i++) {
      probe.next(`waiting ${i};`)
      await immediate()
    }
    t.equal(client.text, '')
    answerSlow('slow')
    await client.until(/data: waiting 99;\n\n/)
    t.match(client.text, /^HTTP\/1.1 200 [^]*\r\n\r\nslowHTTP\/1.1 200 [^]*text\/event-stream/)
    t.equal(client.text.match(/data: waiting \d+;/g)?.length, 100)
    probe.next('live')
    await client.until(/data: live\n\n/)
    client.socket.destroy()
    t.equal(await within(atClose, 'the close of the response'), 1)
    await immediate()
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
    t.same(reasons, ['client'])
  })

  t.test('Should drop the connection when more waits than may', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, reasons } = given
    await pipeline(given)
    await immediate()
    // Five megabytes, which is more than the default, and nothing of it can leave.
    for (let i = 0; i < 5; i++) {
      probe.next('x'.repeat(2 ** 20))
      await immediate()
    }
    if (!client.socket.closed) await once(client.socket, 'close')
    await waitUntil(() => app.sse.size === 0)
    t.equal(probe.unsubscribed, 1)
    t.same(reasons, ['overflow'])
  })

  t.test('Should keep neither stream nor listener of a source that completes', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons } = given
    const { response } = await pipeline(given)
    const { socket } = response.req
    await immediate()
    probe.next('last')
    probe.complete()
    t.same([probe.unsubscribed, app.sse.size], [1, 1])
    answerSlow('slow')
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

  t.test('Should unsubscribe when the client leaves after the source has completed', async (t) => {
    const given = await setUp(t)
    const { app, probe, client } = given
    const { response } = await pipeline(given)
    const atSocketClose = whenClosed(response.req.socket, probe)
    await immediate()
    probe.complete()
    t.equal(app.sse.size, 1)
    client.socket.destroy()
    await within(atSocketClose, 'the close of the socket')
    t.same([probe.unsubscribed, app.sse.size], [1, 0])
  })

  t.test('Should unsubscribe at once when the application closes, and end it later', async (t) => {
    const given = await setUp(t)
    const { app, probe, client, answerSlow, reasons } = given
    await pipeline(given)
    await immediate()
    const closing = app.close()
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    await waitUntil(() => !app.server.listening)
    answerSlow('slow')
    await within(closing, 'app.close()')
    await once(client.socket, 'close')
    t.match(client.text, /slowHTTP\/1.1 200 [^]*:\n\n\r\n0\r\n\r\n$/)
    t.equal(app.sse.size, 0)
    t.same(reasons, ['shutdown'])
  })
})
