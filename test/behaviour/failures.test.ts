import { Observable } from 'rxjs'
import t from 'tap'
import type { SseSummary } from '../../index.ts'
import { RawClient, eventsOf } from '../fixtures/app.ts'
import { LEVEL } from '../fixtures/logs.ts'
import { bodyOf } from '../fixtures/one-route.ts'
import { first, openTwoStreams } from '../fixtures/two-streams.ts'
import { deferred, fetch, immediate, once, within } from '../fixtures/waits.ts'

t.test('Should break the connection when the source fails later, and log it once', async (t) => {
  const { url, probe, logs, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe) }))
  const response = await fetch(url)
  const events = eventsOf(response)
  t.match(await events.next(), { value: { data: 'first' } })
  probe.error(new Error('a secret'))
  await t.rejects(events.next(), 'the body does not look whole')
  t.equal(probe.unsubscribed, 1)
  await bystander.check()
  t.match(logs.alarms, [{ level: LEVEL.error, err: { message: 'a secret' }, sse: { reason: 'error' } }])
  t.equal(logs.alarms.length, 1)
  t.notOk(logs.lines.some(({ msg }) => /premature/i.test(msg)))
})

t.test('Should send nothing of the error unless onError says so', async (t) => {
  const { app, probe, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe) }))
  const client = new RawClient(app)
  client.get('/')
  await client.until(/first\n\n/)
  const before = client.text
  probe.error(new Error('a secret'))
  await once(client.socket, 'close')
  t.equal(client.text, before)
  await bystander.check()
})

t.test('Should send what waits and then what onError gives', async (t) => {
  const given: unknown[] = []
  const onError = (error: unknown): { type: string, data: string } => {
    given.push(error)
    return { type: 'failed', data: 'sorry' }
  }
  const { app, probe, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe), options: { onError } }))
  const client = new RawClient(app)
  client.get('/')
  await client.until(/first\n\n/)
  const error = new Error('a secret')
  probe.next('second')
  probe.error(error)
  await once(client.socket, 'close')
  const { body, isEnded } = bodyOf(client.text)
  t.equal(body, ':\n\ndata: first\n\ndata: second\n\nevent: failed\ndata: sorry\n\n')
  t.notOk(isEnded)
  t.notMatch(client.text, /a secret/)
  t.equal(given[0], error)
  t.equal(given.length, 1)
  await bystander.check()
})

t.test('Should fail when the failure follows an event at once, before the head has left', async (t) => {
  const { url, logs, bystander } = await openTwoStreams(t, () => ({
    source: new Observable<string>((subscriber) => {
      subscriber.next('first')
      subscriber.error(new Error('right behind'))
    }),
    options: { onError: () => 'last words' }
  }))
  const events = eventsOf(await fetch(url))
  t.match(await events.next(), { value: { data: 'first' } })
  t.match(await events.next(), { value: { data: 'last words' } })
  await t.rejects(events.next())
  await bystander.check()
  t.match(logs.alarms, [{ err: { message: 'right behind' } }])
  t.equal(logs.alarms.length, 1)
})

t.test('Should fail with a value that cannot be written', async (t) => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  for (const [value, code] of [
    [12n, 'FST_SSE_INVALID_MESSAGE'], [{ data: 12n }, 'FST_SSE_SERIALIZATION'], [{ data: cycle }, 'FST_SSE_SERIALIZATION'],
    [{ data: 'a', type: 'a\rb' }, 'FST_SSE_INVALID_FIELD'], [{ hello: 'world' }, 'FST_SSE_UNKNOWN_FIELD'], [undefined, 'FST_SSE_INVALID_MESSAGE']
  ] as const) {
    const { url, probe, logs, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe) }))
    const events = eventsOf(await fetch(url))
    t.match(await events.next(), { value: { data: 'first' } })
    probe.next(value)
    await t.rejects(events.next())
    t.equal(probe.unsubscribed, 1)
    await bystander.check()
    t.match(logs.alarms, [{ level: LEVEL.error, err: { code } }])
    t.equal(logs.alarms.length, 1)
  }
})

t.test('Should log what onError throws, rejects with, or gives that is no message, and send nothing for it', async (t) => {
  const cases: ReadonlyArray<readonly [name: string, onError: () => never, logged: string | null]> = [
    ['throws', () => { throw new Error('from onError') }, 'from onError'],
    ['rejects', (async () => { throw new Error('from onError') }) as () => never, null],
    ['gives a bad field', () => ({ type: 'a\nb' }) as never, '"type"']
  ]
  for (const [name, onError, logged] of cases) {
    const { app, probe, logs, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe), options: { onError } }))
    const client = new RawClient(app)
    client.get('/')
    await client.until(/first\n\n/)
    const before = client.text
    probe.error(new Error('a secret'))
    await once(client.socket, 'close')
    t.equal(client.text, before, name)
    await bystander.check()
    t.equal(logs.alarms.filter(({ err }) => err?.message === 'a secret').length, 1, name)
    if (logged !== null) t.ok(logs.alarms.some(({ err }) => err?.message.includes(logged)), name)
  }
})

// As of map(async () => …): that it is refused must not leave its rejection to the process.
t.test('Should fail with a promise that a source emits, whatever becomes of it', async (t) => {
  const { url, probe, logs, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe) }))
  const events = eventsOf(await fetch(url))
  await events.next()
  probe.next((async () => { throw new Error('rejected') })())
  await t.rejects(events.next())
  await immediate()
  await bystander.check()
  t.match(logs.alarms, [{ err: { code: 'FST_SSE_INVALID_MESSAGE' } }])
})

t.test('Should answer when a factory throws, and touch no other stream', async (t) => {
  for (const source of [() => { throw new Error('boom') }, async () => { throw new Error('boom') }]) {
    const { url, logs, bystander } = await openTwoStreams(t, () => ({ source }))
    t.equal((await fetch(url)).status, 500)
    await bystander.check()
    t.match(logs.alarms, [{ level: LEVEL.error, err: { message: 'boom' } }])
    t.equal(logs.alarms.length, 1)
  }
})

t.test('Should log a client that leaves at debug, and nothing else about it', async (t) => {
  const { promise: closed, resolve: onClose } = deferred<SseSummary>()
  const { app, probe, logs, bystander } = await openTwoStreams(t, (probe) => ({ source: first(probe), options: { onClose } }))
  const client = new RawClient(app)
  client.get('/')
  await client.until(/first/)
  const before = logs.lines.length
  client.socket.destroy()
  t.match(await within(closed, 'onClose'), { reason: 'client', error: undefined, events: 1 })
  await immediate()
  t.equal(probe.unsubscribed, 1)
  t.match(logs.lines.slice(before), [{ level: LEVEL.debug, sse: { reason: 'client' } }])
  t.equal(logs.lines.length, before + 1)
  t.notOk(logs.lines.some(({ msg }) => /premature/i.test(msg)))
  await bystander.check()
})
