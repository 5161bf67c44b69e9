import type { FastifyInstance } from 'fastify'
import { Observable, Subject, concat, defer, of, throwError } from 'rxjs'
import t from 'tap'
import type { SseContext, SseOptions } from '../../index.ts'
import { Probe, buildApp, listen } from '../fixtures/app.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { fetch, immediate } from '../fixtures/waits.ts'

/** Gives the source a type that the compiler lets through: most of these have none that fits. */
const wrong = (value: unknown): Observable<string> => value as Observable<string>

const fail = (): Error => Object.assign(new Error('boom'), { statusCode: 422, code: 'BOOM' })
const failing = <T>(subscribe: (subscriber: { error (error: unknown): void }) => T): Observable<string> => new Observable((s) => { subscribe(s) })
const reject = async (): Promise<never> => { throw fail() }

/** Each of them fails before the head has left. */
const SOURCES: Readonly<Record<string, () => Observable<string> | ((context: SseContext) => Observable<string>)>> = {
  'fails in the turn of the call': () => throwError(fail),
  'throws in its subscribe function': () => new Observable(() => { throw fail() }),
  'throws in its interop subscribe': () => wrong({ [Symbol.observable ?? '@@observable']: () => ({ subscribe () { throw fail() } }) }),
  'fails in a microtask': () => failing((subscriber) => queueMicrotask(() => subscriber.error(fail()))),
  'fails in the next tick': () => failing((subscriber) => process.nextTick(() => subscriber.error(fail()))),
  'is a promise that rejects': () => wrong(reject()),
  'is a promise of a source that fails': () => wrong(Promise.resolve(throwError(fail))),
  'is an async iterable that fails': () => wrong((async function * () { yield await reject() })()),
  'is an iterable that fails': () => wrong({ [Symbol.iterator]: () => ({ next () { throw fail() } }) }),
  'is a factory that throws': () => () => { throw fail() },
  'is a factory of a source that fails': () => () => throwError(fail),
  'is an async factory that rejects': () => () => wrong(reject()),
  'is an async factory that rejects after a while': () => async () => immediate().then(reject),
  'is an async factory of a source that fails': () => () => wrong(Promise.resolve(throwError(fail)))
} as never

const CUSTOM: Readonly<Record<string, (app: FastifyInstance) => void>> = {
  'a sync error handler': (app) => {
    app.setErrorHandler((error: Error, _request, reply) => { reply.code(418).send({ handled: error.message }) })
  },
  'an async error handler': (app) => {
    app.setErrorHandler(async (error: Error, _request, reply) => {
      await immediate()
      reply.code(418)
      return { handled: error.message }
    })
  }
}

function addSources (app: FastifyInstance, options: SseOptions): string[] {
  for (const [i, makeSource] of Object.values(SOURCES).entries()) {
    app.get(`/${i}`, (_request, reply) => reply.sse(makeSource(), options))
    app.get(`/${i}/async`, async (_request, reply) => reply.sse(makeSource(), options))
  }
  return Object.keys(SOURCES)
}

for (const [name, addErrorHandler] of Object.entries(CUSTOM)) {
  t.test(`Should answer by ${name} when the source fails before the first event`, async (t) => {
    const app = await buildApp(t, { onOpen: () => t.fail('it never opened'), onClose: () => t.fail('it never opened'), onError: () => 'unseen' })
    addErrorHandler(app)
    const names = addSources(app, { open: 'first-event' })
    const url = await listen(app)
    for (const [i, name] of names.entries()) {
      for (const path of [`/${i}`, `/${i}/async`]) {
        const response = await fetch(url + path)
        t.equal(response.status, 418, `a source that ${name}`)
        t.same(await response.json(), { handled: 'boom' })
      }
    }
    t.equal(app.sse.size, 0)
  })
}

t.test("Should answer with the error's status when there is no error handler", async (t) => {
  const app = await buildApp(t)
  const names = addSources(app, { open: 'first-event' })
  const url = await listen(app)
  for (const [i, name] of names.entries()) {
    const response = await fetch(`${url}/${i}`)
    t.equal(response.status, 422, `a source that ${name}`)
    t.match(response.headers.get('content-type'), /^application\/json/)
    t.same(await response.json(), { statusCode: 422, code: 'BOOM', error: 'Unprocessable Entity', message: 'boom' })
  }
})

t.test('Should answer with the status of an error in the turn of the call, and in its microtasks, without an option', async (t) => {
  const app = await buildApp(t)
  const names = addSources(app, {})
  const url = await listen(app)
  for (const [i, name] of names.entries()) {
    if (name.endsWith('after a while')) continue
    const response = await fetch(`${url}/${i}`)
    t.equal(response.status, 422, `a source that ${name}`)
    await response.body?.cancel()
  }
})

t.test('Should wait for the first event as long as it takes, and answer with the status of a late failure', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source, { open: 'first-event' }))
  const pending = fetch(await listen(app))
  await probe.until(({ subscribed }) => subscribed === 1)
  await immediate()
  await immediate()
  probe.error(fail())
  const response = await pending
  t.equal(response.status, 422)
  await response.body?.cancel()
  t.equal(probe.unsubscribed, 1)
  t.equal(app.sse.size, 0)
  t.same(logs.alarms, [], 'Fastify tells of a status below 500 as info')
})

t.test('Should give a thrown non-Error to the error handler as the cause of an Error', async (t) => {
  const app = await buildApp(t)
  app.setErrorHandler((error: Error & { code?: string }, _request, reply) => {
    void reply.code(418).send({ code: error.code, cause: error.cause, message: error.message })
  })
  const reasons: ReadonlyArray<readonly [reason: unknown, shown: string]> = [['a string', "'a string'"], [undefined, 'undefined'], [null, 'null'], [0, '0'], [{ status: 404 }, 'an object']]
  for (const [i, [reason]] of reasons.entries()) {
    app.get(`/${i}/source`, (_request, reply) => reply.sse(throwError(() => reason)))
    app.get(`/${i}/factory`, (_request, reply) => reply.sse(() => { throw reason }))
    app.get(`/${i}/promise`, (_request, reply) => reply.sse(wrong(Promise.reject(reason))))
  }
  const url = await listen(app)
  for (const [i, [reason, shown]] of reasons.entries()) {
    for (const kind of ['source', 'factory', 'promise']) {
      const response = await fetch(`${url}/${i}/${kind}`)
      t.equal(response.status, 418)
      const { code, cause, message } = await response.json() as { code: string, cause: unknown, message: string }
      t.equal(code, 'FST_SSE_SOURCE_FAILED')
      t.same(cause, reason)
      t.match(message, shown)
    }
  }
})

t.test('Should answer with the status of a first value that cannot be written', async (t) => {
  const app = await buildApp(t)
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const values: ReadonlyArray<readonly [value: unknown, code: string]> = [
    [12n, 'FST_SSE_INVALID_MESSAGE'], [{ data: 12n }, 'FST_SSE_SERIALIZATION'], [{ data: cycle }, 'FST_SSE_SERIALIZATION'],
    [{ data: 'a', event: 'tick' }, 'FST_SSE_UNKNOWN_FIELD'], [{ data: 'a', type: 'a\nb' }, 'FST_SSE_INVALID_FIELD'],
    [{ data: 'a', id: 'é' }, 'FST_SSE_INVALID_FIELD'], [{ data: 'a', retry: -1 }, 'FST_SSE_INVALID_FIELD'],
    [{ data: 'a', id: 'fastify-rxjs-sse:end' }, 'FST_SSE_RESERVED_ID'], [undefined, 'FST_SSE_INVALID_MESSAGE']
  ]
  const hot = new Subject<unknown>()
  for (const [i, [value]] of values.entries()) {
    app.get(`/${i}`, (_request, reply) => reply.sse(concat(of(value), hot) as Observable<string>))
    app.get(`/${i}/promise`, (_request, reply) => reply.sse(defer(async () => value) as Observable<string>))
  }
  const url = await listen(app)
  for (const [i, [, code]] of values.entries()) {
    for (const path of [`/${i}`, `/${i}/promise`]) {
      const response = await fetch(url + path)
      t.equal(response.status, 500)
      t.match(await response.json(), { code })
    }
  }
  t.equal(hot.observed, false)
  t.equal(app.sse.size, 0)
})

t.test('Should leave the log to the error handler', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(throwError(() => new Error('boom'))))
  const response = await fetch(await listen(app))
  t.equal(response.status, 500)
  await response.body?.cancel()
  t.match(logs.alarms, [{ level: LEVEL.error, err: { message: 'boom' } }])
  t.equal(logs.alarms.length, 1)
})
