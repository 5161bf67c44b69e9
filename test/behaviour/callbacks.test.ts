import { Observable, concat, of } from 'rxjs'
import t from 'tap'
import type { SseOptions, SseSource, SseSummary } from '../../index.ts'
import type { Probe } from '../fixtures/app.ts'
import { RawClient, buildApp, listen } from '../fixtures/app.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { first, openTwoStreams } from '../fixtures/two-streams.ts'
import { deferred, fetch, immediate, within } from '../fixtures/waits.ts'

const THROWERS: Readonly<Record<string, (probe: Probe, onClose: (summary: SseSummary) => void) => { source: SseSource, options: SseOptions }>> = {
  'onOpen throws': (probe, onClose) => ({ source: first(probe), options: { onClose, onOpen: () => { throw new Error('boom') } } }),
  'an async onOpen rejects': (probe, onClose) => ({
    source: first(probe),
    options: { onClose, onOpen: async () => { await immediate(); throw new Error('boom') } }
  }),
  'the serializer throws': (probe, onClose) => ({
    source: concat(of('first', { data: {} }), probe.source),
    options: { onClose, serializer: () => { throw new Error('boom') } }
  }),
  'an async serializer rejects': (probe, onClose) => ({
    source: concat(of('first', { data: {} }), probe.source),
    options: { onClose, serializer: (async () => { throw new Error('boom') }) as never }
  })
}

for (const [name, route] of Object.entries(THROWERS)) {
  t.test(`Should fail this stream alone when ${name}`, async (t) => {
    const { promise: closed, resolve } = deferred<SseSummary>()
    const { url, probe, logs, bystander } = await openTwoStreams(t, (probe) => route(probe, resolve))
    await t.rejects(fetch(url).then((response) => within(response.text(), 'the end of the body')))
    t.match(await within(closed, 'onClose'), { reason: 'error' })
    t.equal(probe.unsubscribed, probe.subscribed)
    await bystander.check()
    t.match(logs.alarms, [{ level: LEVEL.error, sse: { reason: 'error' } }])
    t.equal(logs.alarms.length, 1)
  })
}

for (const [name, onClose] of [
  ['throws', () => { throw new Error('boom') }], ['rejects', async () => { throw new Error('boom') }]
] as const) {
  t.test(`Should log that onClose ${name}, and call the others`, async (t) => {
    const logs = new Logs()
    const { promise: closed, resolve } = deferred<SseSummary>()
    const app = await buildApp(t, { onClose }, { logger: logs.logger })
    app.get('/', (_request, reply) => reply.sse(of('a'), { onClose: resolve }))
    t.match(await (await fetch(await listen(app))).text(), 'data: a')
    t.match(await within(closed, 'onClose'), { reason: 'complete', events: 1 })
    await logs.until(({ err }) => err?.message === 'boom')
    t.match(logs.alarms, [{ level: LEVEL.error, err: { message: 'boom' } }])
    t.equal(app.sse.size, 0)
  })
}

/** A source whose teardown throws. */
function clinging (...values: string[]): Observable<string> {
  return new Observable((subscriber) => {
    for (const value of values) subscriber.next(value)
    if (values.includes('last')) subscriber.complete()
    return () => { throw new Error('boom') }
  })
}

t.test('Should log that a teardown throws when the source completes', async (t) => {
  const { app, url, logs, bystander } = await openTwoStreams(t, () => ({ source: clinging('first', 'last') }))
  t.match(await (await fetch(url)).text(), /first[^]*last\n\n$/)
  await logs.until(({ err }) => err?.message.includes('boom') === true)
  await bystander.check()
  t.equal(app.sse.size, 1)
})

t.test('Should log that a teardown throws when the client leaves', async (t) => {
  const { promise: closed, resolve: onClose } = deferred<SseSummary>()
  const { app, logs, bystander } = await openTwoStreams(t, () => ({ source: clinging('first'), options: { onClose } }))
  const client = new RawClient(app)
  client.get('/')
  await client.until(/first/)
  client.socket.destroy()
  t.match(await within(closed, 'onClose'), { reason: 'client' })
  await bystander.check()
  t.match(logs.alarms, [{ level: LEVEL.error, err: { message: /boom/ } }])
  t.equal(logs.alarms.length, 1)
})

t.test('Should end all streams when teardowns throw at app.close()', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(clinging('first')))
  await listen(app)
  const clients = Array.from({ length: 3 }, () => new RawClient(app))
  for (const client of clients) client.get('/')
  await Promise.all(clients.map((client) => client.until(/first/)))
  await app.close()
  t.equal(app.sse.size, 0)
  t.equal(logs.alarms.filter(({ err }) => err?.message.includes('boom')).length, 3)
})
