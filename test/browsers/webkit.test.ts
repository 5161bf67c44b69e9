import { NEVER, concat, of } from 'rxjs'
import t from 'tap'
import type { SseValue } from '../../index.ts'
import { Probe, buildApp, listen } from '../fixtures/app.ts'
import { serveReporter } from '../fixtures/browser.ts'
import { CLOSED, CONNECTING, EventSourceLog, OPEN } from '../fixtures/event-source.ts'
import { isMissing } from '../fixtures/tool.ts'
import { WebKit } from '../fixtures/webkit.ts'

t.test('In WebKit', { skip: isMissing('WebKitWebDriver') || isMissing('Xvfb') }, async (t) => {
  const webkit = await WebKit.launch(t)

  t.test('Should fire messages, named events and every line of their data', async (t) => {
    const app = await buildApp(t)
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'], ['tick', 'bare'])
    app.get('/sse', (_request, reply) => reply.sse(concat(of<SseValue[]>(
      'plain', '', 0, null, { data: { hello: 'wörld 🌍' } }, { type: 'tick', data: 'named' }, { type: 'bare' },
      { data: 'one\ntwo\r\nthree\rfour\n' }, { comment: 'unseen', data: ' space' }, { type: 'message', data: 'by name' }
    ), NEVER)))
    await webkit.open(await listen(app))
    await sightings.until(({ events }) => events.length === 10)
    t.same(sightings.events, [
      ['message', 'plain'], ['message', ''], ['message', '0'], ['message', 'null'], ['message', '{"hello":"wörld 🌍"}'],
      ['tick', 'named'], ['bare', ''], ['message', 'one\ntwo\nthree\nfour\n'], ['message', ' space'],
      ['message', 'by name']
    ])
    t.match(sightings.all[0], { type: 'open', readyState: OPEN })
  })

  t.test('Should ask for what follows the last id that it has seen', async (t) => {
    const app = await buildApp(t, { retry: 0 })
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'])
    const asked: Array<string | undefined> = []
    const sources = [
      of<SseValue[]>({ id: 1, data: 'a' }, { id: 'b #2', data: 'b' }, 'without'), of({ id: 0, data: 'c' }),
      of({ id: '', data: 'd' })
    ]
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      return reply.sse(sources[asked.length - 1] ?? concat(of('end'), NEVER))
    })
    await webkit.open(await listen(app))
    await sightings.until(({ events }) => events.length === 6)
    t.same(asked, [undefined, 'b #2', '0', undefined])
    t.same(sightings.all.flatMap(({ data, lastEventId }) => data === undefined ? [] : [[data, lastEventId]]), [
      ['a', '1'], ['b', 'b #2'], ['without', 'b #2'], ['c', '0'], ['d', ''], ['end', '']
    ])
  })

  t.test('Should come back by the last id after a cut, and learn nothing of the error', async (t) => {
    const app = await buildApp(t, { retry: 0 })
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'])
    const probe = new Probe()
    const asked: Array<string | undefined> = []
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      return reply.sse(probe.source)
    })
    await webkit.open(await listen(app))
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next({ id: 41, data: 'fine' })
    await sightings.until(({ events }) => events.length === 1)
    probe.error(new Error('secret of the database'))
    await probe.until(({ subscribed }) => subscribed === 2)
    probe.next('again')
    await sightings.until(({ events }) => events.length === 2)
    t.same(sightings.events, [['message', 'fine'], ['message', 'again']])
    t.same(sightings.errors, [CONNECTING])
    t.same(asked, [undefined, '41'])
  })

  t.test('Should stop for good when a finite source completes', async (t) => {
    const app = await buildApp(t, { retry: 0, finite: true })
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'], ['end'])
    const statuses: number[] = []
    app.addHook('onSend', async ({ url }, { statusCode }) => { if (url === '/sse') statuses.push(statusCode) })
    const probe = new Probe()
    app.get('/sse', (_request, reply) => reply.sse(probe.source))
    await webkit.open(await listen(app))
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next({ id: 7, data: 'data' })
    probe.complete()
    await sightings.until(({ errors }) => errors.includes(CLOSED))
    await webkit.execute('setTimeout(done, 100)')
    t.same(sightings.events, [['message', 'data'], ['end', '']])
    t.same(sightings.errors, [CONNECTING, CLOSED])
    t.same(statuses, [200, 204])
    t.equal(probe.subscribed, 1)
  })

  t.test('Should not take an id that comes without data, which is why the last event of a finite source has some', async (t) => {
    const app = await buildApp(t, { retry: 0 })
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'])
    const asked: Array<string | undefined> = []
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      return reply.sse(asked.length === 1 ? of({ id: 1, data: 'seen' }, { id: 2 }) : concat(of('end'), NEVER))
    })
    await webkit.open(await listen(app))
    await sightings.until(({ events }) => events.length === 2)
    t.same(asked, [undefined, '1'])
  })

  t.test('Should unsubscribe the source with EventSource.close()', async (t) => {
    const app = await buildApp(t, { retry: 0 })
    const [sightings = new EventSourceLog()] = serveReporter(app, ['/sse'])
    const probe = new Probe()
    app.get('/sse', (_request, reply) => reply.sse(probe.source))
    await webkit.open(await listen(app))
    await sightings.until(({ all }) => all.length > 0)
    t.equal(app.sse.size, 1)
    await webkit.execute('sources[0].close(); done()')
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    t.equal(app.sse.size, 0)
    t.equal(probe.subscribed, 1)
    t.same(sightings.all.map(({ type }) => type), ['open'])
  })
})
