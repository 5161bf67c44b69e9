import { concat, NEVER, of } from 'rxjs'
import t from 'tap'
import { buildApp, listen, Probe } from '../fixtures/app.ts'
import { launchFirefox, serveReporter } from '../fixtures/browser.ts'
import { CLOSED, CONNECTING, EventSourceLog } from '../fixtures/event-source.ts'
import { isMissing } from '../fixtures/tool.ts'

t.setTimeout(240_000)

t.test('In Firefox', { skip: isMissing('firefox-esr') }, async (t) => {
  const app = await buildApp(t, { retry: 0 })
  const paths = ['/completes', '/finite', '/resumes']
  const [completes = new EventSourceLog(), finite = new EventSourceLog(), resumes = new EventSourceLog()] = serveReporter(app, paths)

  const completing = new Probe()
  app.get('/completes', (_request, reply) => reply.sse(completing.source))

  const ending = new Probe()
  const statuses: number[] = []
  app.addHook('onSend', async ({ url }, { statusCode }) => { if (url === '/finite') statuses.push(statusCode) })
  app.get('/finite', (_request, reply) => reply.sse(ending.source, { finite: true }))

  const asked: Array<[request: string | undefined, factory: string | undefined]> = []
  const sources = [
    of({ id: 1, data: 'a' }, { id: 'b #2', data: 'b' }), of({ id: 0, data: 'c' }), of({ id: '', data: 'd' })
  ]
  app.get('/resumes', (request, reply) => reply.sse(({ lastEventId }) => {
    asked.push([request.lastEventId, lastEventId])
    return sources[asked.length - 1] ?? concat(of('end'), NEVER)
  }))

  await launchFirefox(t, `${await listen(app)}/`)

  t.test('Should come back when the source completes', async (t) => {
    await completing.until(({ subscribed }) => subscribed === 1)
    completing.next('last')
    completing.complete()
    await completing.until(({ subscribed }) => subscribed === 2)
    completing.next('again')
    await completes.until(({ events }) => events.length === 2)
    t.same(completes.all.map(({ type }) => type), ['open', 'message', 'error', 'open', 'message'])
    t.same(completes.errors, [CONNECTING])
  })

  t.test('Should stop for good when a finite source completes', async (t) => {
    await ending.until(({ subscribed }) => subscribed === 1)
    ending.next({ id: 7, data: 'data' })
    ending.complete()
    await finite.until(({ errors }) => errors.includes(CLOSED))
    t.same(finite.all.map(({ type }) => type), ['open', 'message', 'error', 'error'])
    t.same(finite.errors, [CONNECTING, CLOSED])
    t.same(statuses, [200, 204])
    t.equal(ending.subscribed, 1)
  })

  t.test('Should ask for what follows the last id that it has seen', async (t) => {
    await resumes.until(({ events }) => events.length === 5)
    t.same(asked, [[undefined, undefined], ['b #2', 'b #2'], ['0', '0'], [undefined, undefined]])
    const messages = resumes.all.filter(({ type }) => type === 'message')
    t.same(messages.map(({ data, lastEventId }) => [data, lastEventId]), [
      ['a', '1'], ['b', 'b #2'], ['c', '0'], ['d', ''], ['end', '']
    ])
  })
})
