import { spawn } from 'node:child_process'
import { EventSource as NpmEventSource } from 'eventsource'
import { concat, NEVER, of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { EventSource as UndiciEventSource } from 'undici'
import type { SseValue } from '../../index.ts'
import { buildApp, eventsOf, listen, Probe } from '../fixtures/app.ts'
import { CLOSED, CONNECTING, observe, OPEN, EventSourceLog } from '../fixtures/event-source.ts'
import type { EventSourceLike } from '../fixtures/event-source.ts'
import { isMissing } from '../fixtures/tool.ts'
import { fetch, once, within } from '../fixtures/waits.ts'

for (const { name, EventSource } of [
  { name: 'the eventsource of npm', EventSource: NpmEventSource },
  { name: 'the EventSource of undici', EventSource: UndiciEventSource }
]) {
  const connect = (t: Test, url: string, types: readonly string[] = []) => {
    const source: EventSourceLike = new EventSource(url)
    t.teardown(() => source.close())
    const fired = new EventSourceLog()
    observe(source, types, fired.add)
    return { source, fired }
  }

  t.test(`Should fire messages, named events and every line of their data in ${name}`, async (t) => {
    const app = await buildApp(t)
    app.get('/', (_request, reply) => reply.sse(concat(of<SseValue[]>(
      'plain', 0, { data: { hello: 'wörld 🌍' } }, { type: 'tick', data: 'named' }, { data: 'one\ntwo\r\nthree\rfour' }
    ), NEVER)))
    const { fired } = connect(t, await listen(app), ['tick'])
    await fired.until(({ events }) => events.length === 5)
    t.same(fired.events, [
      ['message', 'plain'], ['message', '0'], ['message', '{"hello":"wörld 🌍"}'], ['tick', 'named'],
      ['message', 'one\ntwo\nthree\nfour']
    ])
    t.match(fired.all[0], { type: 'open', readyState: OPEN })
  })

  t.test(`Should come back when the source completes, and ask for what follows the last id, in ${name}`, async (t) => {
    const app = await buildApp(t)
    const asked: Array<[request: string | undefined, factory: string | undefined]> = []
    const sources = [
      of<SseValue[]>({ id: 1, data: 'a' }, { id: 'b #2', data: 'b' }, 'without'),
      of({ id: 0, data: 'c' })
    ]
    app.get('/', (request, reply) => reply.sse(({ lastEventId }) => {
      asked.push([request.lastEventId, lastEventId])
      return sources[asked.length - 1] ?? concat(of('d'), NEVER)
    }, { retry: 0 }))
    const { fired } = connect(t, await listen(app))
    await fired.until(({ events }) => events.length === 5)
    t.same(asked, [[undefined, undefined], ['b #2', 'b #2'], ['0', '0']])
    t.same(fired.events.map(([, data]) => data), ['a', 'b', 'without', 'c', 'd'])
    t.same(fired.errors, [CONNECTING, CONNECTING])
  })

  t.test(`Should stop for good when a finite source completes, with ${name}`, async (t) => {
    const app = await buildApp(t)
    const statuses: number[] = []
    app.addHook('onSend', async (_request, { statusCode }) => { statuses.push(statusCode) })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source, { retry: 0, finite: true }))
    const { source, fired } = connect(t, await listen(app), ['end'])
    await probe.until(({ subscribed }) => subscribed === 1)
    probe.next({ id: 7, data: 'data' })
    probe.complete()
    await fired.until(({ errors }) => errors.includes(CLOSED))
    // A reconnection would be under way by then: the time to wait is 0.
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.same(fired.events, [['message', 'data'], ['end', '']])
    t.same(fired.errors, [CONNECTING, CLOSED])
    t.equal(source.readyState, CLOSED)
    t.same(statuses, [200, 204])
    t.equal(probe.subscribed, 1)
  })

  t.test(`Should unsubscribe the source with close() of ${name}`, async (t) => {
    const app = await buildApp(t)
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source, { retry: 0 }))
    const { source, fired } = connect(t, await listen(app))
    await fired.until(({ all }) => all.length > 0)
    t.equal(app.sse.size, 1)
    source.close()
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    t.equal(app.sse.size, 0)
    t.equal(probe.subscribed, 1)
  })
}

t.test('Should give fetch the head and the first bytes of a source that never emits', async (t) => {
  const app = await buildApp(t, { heartbeat: false })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const response = await fetch(await listen(app))
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  if (response.body === null) throw new Error('a response without a body')
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  t.equal((await within(reader.read(), 'the first bytes')).value, ':\n\n')
  await reader.cancel()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
})

t.test('Should give fetch each event while the stream is open, and the end', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const events = eventsOf(await fetch(await listen(app)))
  probe.next({ id: 1, type: 'tick', data: 'one' })
  t.match((await events.next()).value, { id: '1', event: 'tick', data: 'one' })
  probe.next('two\nlines')
  t.match((await events.next()).value, { data: 'two\nlines' })
  probe.complete()
  t.same(await events.next(), { value: undefined, done: true })
})

t.test('Should let fetch see that the source has failed', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const events = eventsOf(await fetch(await listen(app)))
  probe.next('fine')
  probe.error(new Error('secret'))
  t.match((await events.next()).value, { data: 'fine' })
  await t.rejects(events.next(), { message: 'terminated' })
})

t.test('Should show curl -N each event at once', { skip: isMissing('curl') }, async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  const curl = spawn('curl', ['--no-buffer', '--silent', await listen(app)])
  t.teardown(() => curl.kill())
  const exit = once(curl, 'exit')
  const chunks = curl.stdout.setEncoding('utf8')[Symbol.asyncIterator]()
  t.equal((await within(chunks.next(), 'what curl shows')).value, ':\n\n')
  probe.next('one')
  t.equal((await within(chunks.next(), 'what curl shows')).value, 'data: one\n\n')
  probe.next({ type: 'tick', data: 'two' })
  t.equal((await within(chunks.next(), 'what curl shows')).value, 'event: tick\ndata: two\n\n')
  probe.complete()
  t.equal((await within(chunks.next(), 'what curl shows')).done, true)
  t.same(await exit, [0, null])
})
