import { getEventListeners } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { EMPTY, concat, of, throwError } from 'rxjs'
import { RawClient, buildApp, parse } from '../fixtures/app.ts'
import { Clock } from '../fixtures/clock.ts'
import { collectWarnings } from '../fixtures/leaks.ts'
import { bodyOf, openOneRoute } from '../fixtures/one-route.ts'
import type { OneRoute, OneRouteOptions } from '../fixtures/one-route.ts'
import { immediate, once } from '../fixtures/waits.ts'

const NOTHING_YET = ''

/** Opens the stream on a clock that stands. */
async function openWithClock (t: Test, options: OneRouteOptions): Promise<OneRoute & { clock: Clock }> {
  const route = await openOneRoute(t, options)
  const clock = new Clock(t)
  route.client.get('/')
  await route.probe.until(({ subscribed }) => subscribed === 1)
  clock.turn()
  await route.client.until(/:\n\n/)
  return { ...route, clock }
}

/** Everything that was on its way when this was called has arrived. */
async function settle ({ app, probe }: OneRoute): Promise<void> {
  await probe.until(({ subscribed }) => subscribed === 1)
  const other = new RawClient(app)
  for (let i = 0; i < 3; i++) {
    other.text = ''
    other.get('/nowhere')
    await other.until(/Not Found/)
    await immediate()
  }
  other.socket.destroy()
}

t.test('Should open at once, and say first how long to wait before a reconnection', async (t) => {
  for (const [retry, first] of [[undefined, ':\n\n'], [0, 'retry: 0\n\n'], [5000, 'retry: 5000\n\n']] as const) {
    const { client, probe } = await openOneRoute(t, { retry })
    client.get('/')
    await client.until(/\n\n\r\n$/)
    t.match(client.text, /^HTTP\/1.1 200 OK\r\ncontent-type: text\/event-stream\r\n/)
    t.equal(bodyOf(client.text).body, first)
    probe.next('second')
    await client.until(/second\n\n\r\n$/)
    t.equal(bodyOf(client.text).body, `${first}data: second\n\n`)
  }
})

t.test('Should say it before what the source emits while it is subscribed to', async (t) => {
  const { client } = await openOneRoute(t, { retry: 7, source: () => of('a', 'b') })
  client.get('/')
  await client.until(/\r\n0\r\n\r\n$/)
  t.equal(bodyOf(client.text).body, 'retry: 7\n\ndata: a\n\ndata: b\n\n')
})

/** Waits until the write batch is over, which writes what was emitted. */
function endOfBatch (): Promise<void> {
  return new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)))
}

t.test('A heartbeat', async (t) => {
  t.test('Should be sent after that much silence, and not while there are events', async (t) => {
    const { client, probe, clock } = await openWithClock(t, { heartbeat: 1000 })
    for (const letter of 'abcde') {
      clock.advance(999)
      probe.next(letter)
      await endOfBatch()
    }
    await client.until(/data: e\n\n/)
    t.equal(bodyOf(client.text).body, ':\n\ndata: a\n\ndata: b\n\ndata: c\n\ndata: d\n\ndata: e\n\n')
    clock.advance(999)
    probe.next('f')
    await endOfBatch()
    clock.advance(1010)
    clock.advance(1010)
    probe.next('g')
    await client.until(/data: g\n\n/)
    t.match(bodyOf(client.text).body, /data: f\n\n:\n\n:\n\ndata: g\n\n$/)
  })

  t.test('Should be 15 seconds by default', async (t) => {
    const { client, probe, clock } = await openWithClock(t, {})
    clock.advance(14_999)
    probe.next('before')
    await endOfBatch()
    clock.advance(15_200)
    probe.next('after')
    await client.until(/data: after\n\n/)
    t.equal(bodyOf(client.text).body, ':\n\ndata: before\n\n:\n\ndata: after\n\n')
  })

  t.test('Should never be sent where it is turned off', async (t) => {
    const { client, probe, clock } = await openWithClock(t, { heartbeat: false })
    clock.advance(3_600_000)
    probe.next('an hour later')
    await client.until(/later\n\n/)
    t.equal(bodyOf(client.text).body, ':\n\ndata: an hour later\n\n')
  })

  t.test('Should be the event that was asked for', async (t) => {
    const heartbeat = { interval: 1000, message: { type: 'beat', data: 1 } }
    const { client, clock } = await openWithClock(t, { heartbeat })
    clock.advance(1000)
    await client.until(/data: 1\n\n/)
    t.equal(bodyOf(client.text).body, ':\n\nevent: beat\ndata: 1\n\n')
  })

  t.test('Should go on by the clock on the wall', async (t) => {
    const { client } = await openOneRoute(t, { heartbeat: 20 })
    client.get('/')
    await client.until(/(?::\n\n[^:]*){4}/)
    t.match(bodyOf(client.text).body, /^(?::\n\n){4,}$/)
  })
})

t.test('With open: \'first-event\'', async (t) => {
  t.test('Should send no head before the first event', async (t) => {
    const route = await openOneRoute(t, { open: 'first-event' })
    const { app, client, probe } = route
    client.get('/')
    await settle(route)
    t.equal(client.text, NOTHING_YET)
    t.equal(app.sse.size, 1)
    probe.next('first')
    await client.until(/data: first\n\n/)
    t.match(client.text, /^HTTP\/1.1 200 OK\r\n/)
    t.equal(bodyOf(client.text).body, ':\n\ndata: first\n\n')
  })

  t.test('Should send the head and the end where the source completes without an event', async (t) => {
    const route = await openOneRoute(t, { open: 'first-event' })
    const { client, probe, reasons } = route
    client.get('/')
    await settle(route)
    t.equal(client.text, NOTHING_YET)
    probe.complete()
    await client.until(/\r\n0\r\n\r\n$/)
    t.match(client.text, /^HTTP\/1.1 200 OK\r\n/)
    t.same(bodyOf(client.text), { body: ':\n\n', isEnded: true })
    t.same(reasons, ['complete'])
  })

  t.test('Should let the error handler answer where the source fails without an event', async (t) => {
    const route = await openOneRoute(t, { open: 'first-event' })
    const { app, client, probe, reasons } = route
    client.get('/')
    await settle(route)
    probe.error(Object.assign(new Error('teapot'), { statusCode: 418 }))
    await client.until(/"message":"teapot"/)
    t.match(client.text, /^HTTP\/1.1 418 /)
    t.same([probe.unsubscribed, app.sse.size, reasons], [1, 0, []])
  })

  t.test('Should release the source when the client does not wait for it', async (t) => {
    const route = await openOneRoute(t, { open: 'first-event' })
    const { app, client, probe, atClose, reasons } = route
    client.get('/')
    await settle(route)
    client.socket.destroy()
    t.equal(await atClose(), 1)
    t.same([probe.unsubscribed, app.sse.size, reasons], [1, 0, []])
  })
})

t.test('A finite stream', async (t) => {
  t.test('Should end with the event that was asked for, and answer 204 to those who have seen it', async (t) => {
    const finite = { type: 'done', data: { total: 2 } }
    const { app, client, probe } = await openOneRoute(t, { finite, lastEventIdQuery: 'last' })
    client.get('/')
    await client.until(/:\n\n/)
    probe.next({ data: 'one', id: 1 })
    probe.complete()
    await client.until(/\r\n0\r\n\r\n$/)
    const [one, done, ...others] = parse(bodyOf(client.text).body)
    t.match([one, done, others], [{ id: '1', data: 'one' }, { event: 'done', data: '{"total":2}' }, []])

    const id = String(done?.id)
    for (const response of [
      await app.inject({ url: '/', headers: { 'last-event-id': id } }),
      await app.inject({ url: '/', query: { last: id } })
    ]) t.same([response.statusCode, response.payload], [204, ''])
    t.equal(probe.subscribed, 1)
  })

  t.test('Should not tell the client to stay away when it is cut short', async (t) => {
    const controller = new AbortController()
    const { client } = await openOneRoute(t, { finite: true, signal: controller.signal })
    client.get('/')
    await client.until(/:\n\n/)
    controller.abort()
    await client.until(/\r\n0\r\n\r\n$/)
    t.equal(bodyOf(client.text).body, ':\n\n')

    const source = concat(of('a'), throwError(() => new Error('secret')))
    const failing = await openOneRoute(t, { finite: true, source: () => source })
    failing.client.get('/')
    await once(failing.client.socket, 'close')
    t.same(bodyOf(failing.client.text), { body: ':\n\ndata: a\n\n', isEnded: false })
  })

  t.test('Should end so where there was no event at all', async (t) => {
    const { client } = await openOneRoute(t, { finite: true, source: () => EMPTY })
    client.get('/')
    await client.until(/\r\n0\r\n\r\n$/)
    t.match(bodyOf(client.text).body, /^:\n\nid: \S+\nevent: end\ndata:\n\n$/)
  })
})

t.test('A signal', async (t) => {
  t.test('Should end the stream when it fires, after what waits', async (t) => {
    const controller = new AbortController()
    const { app, client, probe, reasons } = await openOneRoute(t, { signal: controller.signal })
    client.get('/')
    await client.until(/:\n\n/)
    probe.next('last')
    controller.abort()
    t.equal(probe.unsubscribed, 1)
    probe.next('too late')
    await client.until(/\r\n0\r\n\r\n$/)
    t.same(bodyOf(client.text), { body: ':\n\ndata: last\n\n', isEnded: true })
    await immediate()
    t.same([probe.unsubscribed, app.sse.size, reasons], [1, 0, ['aborted']])
  })

  t.test('Should give the head and the end, and no subscription, where it has fired before', async (t) => {
    for (const source of [undefined, () => () => { throw new Error('the factory was called') }]) {
      const { app, client, probe, reasons } = await openOneRoute(t, { signal: AbortSignal.abort(), ...source && { source } })
      client.get('/')
      await client.until(/\r\n0\r\n\r\n$/)
      t.match(client.text, /^HTTP\/1.1 200 OK\r\ncontent-type: text\/event-stream\r\n/)
      t.same(bodyOf(client.text), { body: ':\n\n', isEnded: true })
      await immediate()
      t.same([probe.subscribed, app.sse.size, reasons], [0, 0, ['aborted']])
    }
  })

  t.test('Should end all streams that share it, without a warning, and keep no listener', async (t) => {
    const warnings = collectWarnings(t)
    const controller = new AbortController()
    const { app, probe, reasons } = await openOneRoute(t, { signal: controller.signal })
    const clients = Array.from({ length: 31 }, () => new RawClient(app))
    for (const client of clients) client.get('/')
    await Promise.all(clients.map((client) => client.until(/:\n\n/)))
    clients[30]?.socket.destroy()
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    t.equal(app.sse.size, 30)
    controller.abort()
    await Promise.all(clients.slice(0, 30).map((client) => client.until(/\r\n0\r\n\r\n$/)))
    await immediate()
    t.same([probe.subscribed, probe.unsubscribed, app.sse.size], [31, 31, 0])
    t.same(reasons, ['client', ...Array.from({ length: 30 }, () => 'aborted')])
    t.same([warnings, getEventListeners(controller.signal, 'abort')], [[], []])
    for (const { socket } of clients) socket.destroy()
  })
})

t.test('Should ask for the key of events alone, where only the latest of each key is kept', async (t) => {
  const app = await buildApp(t)
  const asked: unknown[] = []
  const latest = (message: unknown): string => {
    asked.push(message)
    return 'one key'
  }
  app.get('/', (_request, reply) => reply.sse(
    of({ comment: 'no event' }, { id: 1 }, { retry: 5 }, { data: 'a' }, 'b', { type: 'named' }), { buffer: { overflow: { latest } } }))
  t.equal((await app.inject('/')).payload.replace(/^:\n+/, ''), ': no event\n\nid: 1\n\nretry: 5\n\nevent: named\ndata:\n\n')
  t.same(asked, [{ data: 'a' }, { data: 'b' }, { type: 'named' }])
})
