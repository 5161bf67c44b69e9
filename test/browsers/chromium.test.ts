import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { concat, concatMap, NEVER, of, throwError, timer } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { buildApp, listen, Probe, RawClient } from '../fixtures/app.ts'
import type { SseValue } from '../../index.ts'
import { launchChromium, openTab, servePage } from '../fixtures/browser.ts'
import { CLOSED, CONNECTING, OPEN } from '../fixtures/event-source.ts'
import { isMissing } from '../fixtures/tool.ts'
import { once, within } from '../fixtures/waits.ts'

t.setTimeout(240_000)

t.test('In Chromium', { skip: isMissing('chromium') }, async (t) => {
  const browser = await launchChromium(t)
  const open = async (t: Test, app: FastifyInstance) => openTab(t, browser, await listen(app))

  t.test('Should fire messages, named events and every line of their data', async (t) => {
    const app = await buildPage(t)
    app.get('/sse', (_request, reply) => reply.sse(concat(of<SseValue[]>(
      'plain', '', 0, null, { data: { hello: 'wörld 🌍' } }, { type: 'tick', data: 'named' }, { type: 'bare' },
      { data: 'one\ntwo\r\nthree\rfour\n' }, { comment: 'unseen', data: ' space' }, { type: 'message', data: 'by name' }
    ), NEVER)))
    const tab = await open(t, app)
    const fired = await tab.connect('/sse', ['tick', 'bare'])
    await fired.until(({ events }) => events.length === 10)
    t.same(fired.events, [
      ['message', 'plain'], ['message', ''], ['message', '0'], ['message', 'null'], ['message', '{"hello":"wörld 🌍"}'],
      ['tick', 'named'], ['bare', ''], ['message', 'one\ntwo\nthree\nfour\n'], ['message', ' space'],
      ['message', 'by name']
    ])
    t.match(fired.all[0], { type: 'open', readyState: OPEN })
  })

  t.test('Should ask for what follows the last id that it has seen', async (t) => {
    const app = await buildPage(t)
    const asked: Array<[request: string | undefined, factory: string | undefined]> = []
    const sources = [
      of<SseValue[]>({ id: 1, data: 'a' }, { id: 'b #2', data: 'b' }, 'without'),
      of({ id: 0, data: 'c' }),
      of({ id: '', data: 'd' })
    ]
    app.get('/sse', (request, reply) => reply.sse(({ lastEventId }) => {
      asked.push([request.lastEventId, lastEventId])
      return sources[asked.length - 1] ?? NEVER
    }, { retry: 0 }))
    const tab = await open(t, app)
    const fired = await tab.connect('/sse')
    await fired.until(({ all }) => all.filter(({ type }) => type === 'open').length === 4)
    t.same(asked, [[undefined, undefined], ['b #2', 'b #2'], ['0', '0'], [undefined, undefined]])
    const messages = fired.all.filter(({ type }) => type === 'message')
    t.same(messages.map(({ lastEventId }) => lastEventId), ['1', 'b #2', 'b #2', '0', ''])
  })

  t.test('Should wait as long as the option retry says, and as long as a message says after it', async (t) => {
    const app = await buildPage(t)
    const opened: number[] = []
    const closed: number[] = []
    const probe = new Probe()
    app.get('/sse', (_request, reply) => {
      opened.push(performance.now())
      const source = [of('first'), of({ retry: 10 })][opened.length - 1] ?? probe.source
      return reply.sse(source, { retry: 800, onClose: () => closed.push(performance.now()) })
    })
    const tab = await open(t, app)
    await tab.connect('/sse')
    await probe.until(({ subscribed }) => subscribed === 1)
    const [first = NaN, second = NaN] = closed.map((time, i) => (opened[i + 1] ?? NaN) - time)
    t.ok(first > 500 && first < 2500, `800 ms asked for, ${first} ms waited; left alone it waits 3000`)
    t.ok(second < 700, `10 ms asked for, ${second} ms waited`)
  })

  t.test('Should unsubscribe the source with EventSource.close()', async (t) => {
    const app = await buildPage(t)
    const probe = new Probe()
    app.get('/sse', (_request, reply) => reply.sse(probe.source, { retry: 0 }))
    const tab = await open(t, app)
    const fired = await tab.connect('/sse')
    await fired.until(({ all }) => all.length > 0)
    t.equal(app.sse.size, 1)
    await tab.close()
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    t.equal(app.sse.size, 0)
    t.equal(probe.subscribed, 1)
    t.same(fired.all.map(({ type }) => type), ['open'])
  })

  t.test('Should come back when the source completes', async (t) => {
    const app = await buildPage(t)
    const probe = new Probe()
    app.get('/sse', (_request, reply) => reply.sse(probe.source, { retry: 0 }))
    const tab = await open(t, app)
    const fired = await tab.connect('/sse', ['end'])
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next('last')
    probe.complete()
    await probe.until(({ subscribed }) => subscribed === 2)
    probe.next('again')
    await fired.until(({ events }) => events.length === 2)
    t.same(fired.all.map(({ type }) => type), ['open', 'message', 'error', 'open', 'message'])
    t.same(fired.errors, [CONNECTING])
  })

  for (const { finite, last } of [
    { finite: true, last: ['end', ''] },
    { finite: { type: 'done', data: { total: 1 } }, last: ['done', '{"total":1}'] }
  ]) {
    t.test(`Should stop for good when a source with finite: ${JSON.stringify(finite)} completes`, async (t) => {
      const app = await buildPage(t)
      const statuses: number[] = []
      app.addHook('onSend', async ({ url }, { statusCode }) => { if (url === '/sse') statuses.push(statusCode) })
      const probe = new Probe()
      app.get('/sse', (_request, reply) => reply.sse(probe.source, { retry: 0, finite }))
      const tab = await open(t, app)
      const fired = await tab.connect('/sse', ['end', 'done'])
      await probe.until(({ subscribed }) => subscribed === 1)
      probe.next({ id: 7, data: 'data' })
      probe.complete()
      await fired.until(({ errors }) => errors.includes(CLOSED))
      await tab.pass(100)
      t.same(fired.events, [['message', 'data'], last])
      t.same(fired.errors, [CONNECTING, CLOSED])
      t.same(statuses, [200, 204])
      t.equal(probe.subscribed, 1)
    })
  }

  t.test('Should come back when the source fails, and learn nothing of the error', async (t) => {
    const app = await buildPage(t)
    const probe = new Probe()
    const asked: Array<string | undefined> = []
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      return reply.sse(probe.source, { retry: 0 })
    })
    const tab = await open(t, app)
    const fired = await tab.connect('/sse')
    const wire = new RawClient(app)
    wire.get('/sse')
    await probe.until(({ subscribed }) => subscribed === 2)
    const closed = once(wire.socket, 'close')
    probe.next({ id: 41, data: 'fine' })
    await fired.until(({ events }) => events.length === 1)
    probe.error(new Error('secret of the database'))
    await closed
    await probe.until(({ subscribed }) => subscribed === 3)
    probe.next('again')
    await fired.until(({ events }) => events.length === 2)
    t.same(fired.events, [['message', 'fine'], ['message', 'again']])
    t.same(fired.errors, [CONNECTING])
    t.same(asked, [undefined, undefined, '41'])
    t.match(wire.text, /data: fine\n\n\r\n$/, 'after the event comes no text of the error, and no last chunk')
  })

  // Chromium throws away what it has not read yet when a connection breaks: right after a write that is 1 to 7 of 100.
  t.test('Should see the last event of every source that fails, before it comes back', async (t) => {
    const app = await buildPage(t)
    const rounds = 60
    const asked: Array<string | undefined> = []
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      const id = asked.length
      const source = id > rounds ? of('end') : timer(5).pipe(concatMap(() => throwError(() => new Error('failed'))))
      return reply.sse(source, { retry: 0, onError: () => ({ id, data: id }) })
    })
    const tab = await open(t, app)
    const fired = await tab.connect('/sse')
    await fired.until(({ events }) => events.some(([, data]) => data === 'end'))
    const lost = asked.slice(1, rounds + 1).flatMap((lastEventId, i) => lastEventId === String(i + 1) ? [] : [i + 1])
    t.same(lost, [])
  })

  t.test('Should not see a heartbeat that is a comment', async (t) => {
    const app = await buildPage(t)
    const probe = new Probe()
    app.get('/sse', (_request, reply) => reply.sse(probe.source, { heartbeat: 20, retry: 1000 }))
    const tab = await open(t, app)
    const beats = await tab.watchFor(':\n\n', 3)
    const fired = await tab.connect('/sse')
    await within(beats.received, 'three heartbeats in the browser')
    probe.next('event')
    await fired.until(({ events }) => events.length === 1)
    t.same(fired.all.map(({ type }) => type), ['open', 'message'])
  })

  t.test('Should see a heartbeat that is an event', async (t) => {
    const app = await buildPage(t)
    const heartbeat = { interval: 20, message: { type: 'beat', data: 1 } }
    app.get('/sse', (_request, reply) => reply.sse(NEVER, { heartbeat }))
    const tab = await open(t, app)
    const fired = await tab.connect('/sse', ['beat'])
    await fired.until(({ events }) => events.length >= 3)
    t.same(fired.events.slice(0, 3), [['beat', '1'], ['beat', '1'], ['beat', '1']])
  })

  t.test('Should read a stream of another origin with cookies, and come back by id, where that allows it', async (t) => {
    const page = await buildPage(t)
    const tab = await open(t, page)
    const app = await buildApp(t)
    await app.register(cors, { origin: tab.origin, credentials: true })
    const probe = new Probe()
    const asked: unknown[] = []
    app.get('/sse', (request, reply) => {
      asked.push({ method: request.method, cookie: request.headers.cookie, id: request.lastEventId })
      return reply.sse(probe.source, { retry: 0 })
    })
    const url = `${await listen(app)}/sse`
    await tab.page.context().addCookies([{ name: 'who', value: 'me', url }])
    const fired = await tab.connect(url, [], { withCredentials: true })
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next({ id: 3, data: 'from afar' })
    probe.complete()
    await probe.until(({ subscribed }) => subscribed === 2)
    await fired.until(({ events }) => events.length === 1)
    t.same(fired.events, [['message', 'from afar']])
    t.same(asked, [{ method: 'GET', cookie: 'who=me', id: undefined }, { method: 'GET', cookie: 'who=me', id: '3' }])
  })

  t.test('Should be refused a stream of another origin that does not allow it', async (t) => {
    const page = await buildPage(t)
    const tab = await open(t, page)
    const app = await buildApp(t)
    await app.register(cors, { origin: 'https://example.com' })
    app.get('/sse', (_request, reply) => reply.sse(concat(of('unseen'), NEVER)))
    const fired = await tab.connect(`${await listen(app)}/sse`)
    await fired.until(({ all }) => all.length > 0)
    t.same(fired.all.map(({ type, readyState }) => [type, readyState]), [['error', CLOSED]])
  })
})

async function buildPage (t: Test): Promise<FastifyInstance> {
  const app = await buildApp(t)
  servePage(app)
  return app
}
