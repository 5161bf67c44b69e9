import { Readable } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import sse from '../../index.ts'
import { Probe, buildApp } from '../fixtures/app.ts'

interface Refusal {
  readonly given: object
  readonly code: 'FST_SSE_INVALID_OPTION' | 'FST_SSE_UNKNOWN_OPTION'
  readonly says: readonly string[]
}

const invalid = (given: object, ...says: string[]): Refusal => ({ given, code: 'FST_SSE_INVALID_OPTION', says })
const unknown = (given: object, ...says: string[]): Refusal => ({ given, code: 'FST_SSE_UNKNOWN_OPTION', says })

/** Refused at registration and at the call. */
const OPTIONS: readonly Refusal[] = [
  ...[-1, 0, 1.5, NaN, Infinity, 2 ** 31, '1000', true, null].map((heartbeat) => invalid({ heartbeat }, '"heartbeat', String(heartbeat))),
  invalid({ heartbeat: {} }, '"heartbeat.'),
  invalid({ heartbeat: { interval: -1, message: 'a' } }, '"heartbeat.interval"', '-1'),
  invalid({ heartbeat: { interval: 1000 } }, '"heartbeat.message"'),
  invalid({ heartbeat: { interval: 1000, message: {} } }, '"heartbeat.message"'),
  invalid({ heartbeat: { interval: 1000, message: { event: 'beat' } } }, '"heartbeat.message"', 'did you mean "type"'),
  unknown({ heartbeat: { interval: 1000, message: 'a', every: 5 } }, '"heartbeat.every"'),
  ...[-1, 1.5, NaN, Infinity, '1000', null].map((retry) => invalid({ retry }, '"retry"', 'whole number', String(retry))),
  ...['later', true, null].map((open) => invalid({ open }, '"open"', "'immediately' or 'first-event'", String(open))),
  ...['serializer', 'onError', 'onOpen', 'onClose'].flatMap((name) => ['a', 1, {}, null].map((value) => invalid({ [name]: value }, `"${name}"`, 'a function'))),
  ...['end', 1, null].map((finite) => invalid({ finite }, '"finite"', '{ type, data }')),
  invalid({ finite: { type: 'a\nb' } }, '"finite"', 'line ends'),
  invalid({ finite: { data: 12n } }, '"finite"'),
  unknown({ finite: { event: 'end' } }, '"finite.event"'),
  ...['', 1, null].map((lastEventIdQuery) => invalid({ lastEventIdQuery }, '"lastEventIdQuery"', 'query parameter')),
  ...['a', {}, new AbortController(), null].map((signal) => invalid({ signal }, '"signal"', 'AbortSignal')),
  unknown({ heartBeat: 1000 }, '"heartBeat"', 'heartbeat, retry, open'),
  unknown({ toString: 1 }, '"toString"'),
  unknown({ constructor: undefined }, '"constructor"')
]

const AT_REGISTRATION: readonly Refusal[] = [
  ...[1, 'a', null].map((shutdown) => invalid({ shutdown }, '"shutdown"', '{ retry: [min, max] }')),
  ...[1, [1], [1, 2, 3], 'ab', null].map((retry) => invalid({ shutdown: { retry } }, '"shutdown.retry"', '[min, max]')),
  invalid({ shutdown: { retry: [-1, 2] } }, '"shutdown.retry[0]"'),
  invalid({ shutdown: { retry: [2, 1] } }, '"shutdown.retry[1]"', 'from 2', '1'),
  unknown({ shutdown: { after: 1 } }, '"shutdown.after"')
]

const AT_THE_CALL: readonly Refusal[] = [
  unknown({ shutdown: { retry: [1, 2] } }, '"shutdown"', 'at registration'),
  unknown({ prefix: '/a' }, '"prefix"')
]

const bytes = (): Readable => Readable.from([Buffer.from('a')], { objectMode: false })

t.test('Should refuse a wrong option at registration', async (t) => {
  for (const { given, code, says } of [...OPTIONS, ...AT_REGISTRATION]) {
    const app = Fastify()
    const error: unknown = await app.register(sse, given).then(() => null, (error: unknown) => error)
    t.match(error, { code, name: 'FastifyError' }, Object.keys(given).join())
    for (const part of says) t.match((error as Error | null)?.message, part)
    t.ok(error instanceof TypeError)
    await app.close().catch(() => {})
  }
})

t.test('Should refuse a wrong option at the call, at once, before anything is subscribed', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  let thrown: unknown
  const refusals = [
    ...OPTIONS, ...AT_THE_CALL,
    ...[null, 1, 'a', true].map((given) => invalid(given as never, '"options"', 'an object', String(given)))
  ]
  for (const [i, { given }] of refusals.entries()) {
    app.get(`/${i}`, (_request, reply) => {
      try {
        return reply.sse(probe.source, given)
      } catch (error) {
        thrown = error
        throw error
      }
    })
  }
  for (const [i, { given, code, says }] of refusals.entries()) {
    const response = await app.inject(`/${i}`)
    t.equal(response.statusCode, 500)
    t.match(response.json(), { code }, `${code} ${Object.keys(given ?? {}).join()}`)
    for (const part of says) t.match(response.json().message, part)
    t.match(thrown, { code })
    thrown = null
  }
  t.equal(probe.subscribed, 0)
  t.equal(app.sse.size, 0)
})

t.test('Should refuse what is no source, and say what to give', async (t) => {
  const app = await buildApp(t)
  const sources: ReadonlyArray<readonly [source: unknown, says: string]> = [
    [undefined, 'undefined'], [null, 'null'], [12, '12'], [true, 'true'], [{}, 'give an Observable'], [{ data: 'a' }, 'give an Observable'],
    ['text', 'of(string)'], [Buffer.from('a'), 'bytes have no events'], [new Uint8Array(1), 'bytes have no events'], [bytes(), 'bytes have no events']
  ]
  for (const [i, [source]] of sources.entries()) {
    app.get(`/${i}/call`, (_request, reply) => reply.sse(source as never))
    app.get(`/${i}/factory`, (_request, reply) => reply.sse(() => source as never))
  }
  for (const source of ['promise', 'async factory']) {
    for (const [i, value] of [undefined, () => [], Buffer.from('a'), bytes()].entries()) {
      app.get(`/${source}/${i}`, (_request, reply) => reply.sse((source === 'promise' ? Promise.resolve(value) : async () => value) as never))
    }
  }
  for (const [i, [, says]] of sources.entries()) {
    for (const kind of ['call', 'factory']) {
      const response = await app.inject(`/${i}/${kind}`)
      t.equal(response.statusCode, 500)
      t.equal(response.json().code, 'FST_SSE_INVALID_SOURCE', `${says}, ${kind}`)
      if (kind === 'call' || says.startsWith('bytes') || says.startsWith('of')) t.match(response.json().message, says)
    }
  }
  for (const source of ['promise', 'async factory']) {
    for (const i of [0, 1, 2, 3]) {
      const response = await app.inject(`/${source}/${i}`)
      t.equal(response.statusCode, 500)
      t.equal(response.json().code, 'FST_SSE_INVALID_SOURCE', `${source} ${i}`)
    }
  }
  t.equal(app.sse.size, 0)
})
