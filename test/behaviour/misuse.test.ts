import { PassThrough } from 'node:stream'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { EMPTY, concat, interval, map, merge, of, timer } from 'rxjs'
import type { SseCloseReason, SseContext, SseFactory, SseOptions, SsePluginOptions } from '../../index.ts'
import { PulledSource } from '../../lib/source/pull.ts'
import { Probe, buildApp, listen, parse } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { deferred, fetch } from '../fixtures/waits.ts'

t.test('Should answer with an error when a header cannot be written, and not end the process', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.header('x-broken', 'a\nb').sse(interval(1)))
  const url = await listen(app)
  const response = await fetch(url)
  t.equal(response.status, 500)
  t.match(await response.json(), { code: 'ERR_INVALID_CHAR' })
  t.equal(app.sse.size, 0)
})

t.test('Should leave the answer to the error handler when it is called in an onError hook', async (t) => {
  const app = await buildApp(t)
  app.addHook('onError', async (_request, reply) => {
    reply.sse(interval(1))
    await setImmediate()
    await setImmediate()
  })
  app.get('/', () => { throw new Error('first') })
  const response = await app.inject('/')
  t.match([response.statusCode, response.json().message], [500, 'first'])
  t.equal(app.sse.size, 0)
})

t.test('Should refuse a second stream in an onSend hook of the first', async (t) => {
  const app = await buildApp(t)
  app.get('/', {
    onSend (_request, reply, payload, done) {
      if (reply.statusCode === 200) reply.sse(interval(1))
      done(null, payload)
    }
  }, (_request, reply) => reply.sse(interval(1)))
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.match(response.json(), { code: 'FST_SSE_IN_ON_SEND' })
  t.equal(response.headers['cache-control'], undefined, 'what is said of a stream is not said of the error')
  t.equal(app.sse.size, 0)
})

t.test('Should fail when onOpen throws, though the source has completed before', async (t) => {
  const reasons: SseCloseReason[] = []
  const app = await buildApp(t, { onClose: ({ reason }) => { reasons.push(reason) } })
  app.get('/', (_request, reply) => reply.sse(of(1), { onOpen () { throw new Error('no') } }))
  await t.rejects(app.inject('/'))
  t.same(reasons, ['error'])
})

t.test('Should send the whole of what is pulled to inject', async (t) => {
  const app = await buildApp(t)
  const row = 'x'.repeat(1000)
  app.get('/', (_request, reply) => reply.sse(async function * () {
    for (let i = 0; i < 8000; i++) yield { data: row }
  }))
  const { payload } = await app.inject('/')
  t.equal(parse(payload).length, 8000)
})

t.test('Should show nothing of a value to the client', async (t) => {
  const app = await buildApp(t)
  const values = [
    { data: { id: 1n, password: 'hunter2' } }, { data: 1, password: 'hunter2' }, new Map([['password', 'hunter2']]),
    { data: 1, id: { password: 'hunter2' } }, { data: 1, type: ['hunter2'] }
  ]
  app.get<{ Params: { index: number } }>('/:index', (request, reply) => {
    return reply.sse(EMPTY.pipe((source) => concat(source, of(values[request.params.index] as { data: unknown }))))
  })
  for (const index of values.keys()) {
    const { statusCode, payload } = await app.inject(`/${index}`)
    t.equal(statusCode, 500)
    t.notMatch(payload, /hunter2/)
  }
})

t.test('Should say what the members of an option are', async (t) => {
  const app = await buildApp(t)
  app.post('/', (request, reply) => reply.sse(EMPTY, request.body as SseOptions))
  const bad: ReadonlyArray<readonly [options: object, message: RegExp]> = [
    [{ buffer: { maxbytes: 1 } }, /"buffer\.maxbytes" is not known here; there are maxBytes, overflow$/],
    [{ heartbeat: { intervall: 1 } }, /"heartbeat\.intervall" is not known here; there are interval, message$/],
    [{ finite: { event: 'end' } }, /"finite\.event" is not known here; there are type, data$/],
    [[], /"options" must be an object; it is \[\]$/]
  ]
  for (const [body, message] of bad) {
    const response = await app.inject({ method: 'POST', url: '/', body })
    t.match(response.json(), { statusCode: 500, message })
  }
  await t.rejects(buildApp(t, { foo: 1 } as SsePluginOptions), { message: /heartbeat, .*, maxConnections, shutdown$/ })
})

t.test('Should take messages of different types from one source', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(merge(of({ data: 1 }), of({ type: 'text', data: 'b' }))))
  app.get('/pulled', (_request, reply) => reply.sse(async function * () {
    yield { data: 1 }
    yield { type: 'text', data: 'b' }
  }))
  for (const url of ['/', '/pulled']) t.equal(parse((await app.inject(url)).payload).length, 2)
})

t.test('Should break a failing stream under inject, where nothing else keeps the process alive', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(concat(of(1), timer(5).pipe(map(() => { throw new Error('midway') })))))
  await t.rejects(app.inject('/'), { code: 'LIGHT_ECONNRESET' })
})

t.test('Should log what an async onOpen rejects with when its stream is over', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  const { promise: over, resolve } = deferred<void>()
  app.get('/', (_request, reply) => reply.sse(of(1), {
    onOpen: async () => {
      await over
      throw new Error('late')
    },
    onClose: () => resolve()
  }))
  await app.inject('/')
  await setImmediate()
  t.match(logs.alarms.map(({ msg, err }) => [msg, err?.message]), [['onOpen of an event stream threw', 'late']])
})

t.test('Should stream what has a length and members', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse({ length: 2, 0: 'a', 1: 'b' }))
  t.same(parse((await app.inject('/')).payload).map(({ data }) => data), ['a', 'b'])
})

t.test('Should end with a stream that an onSend hook pipes it to', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  app.addHook('onSend', async (_request, _reply, payload) => (payload as Readable).pipe(new PassThrough()))
  app.get('/', (_request, reply) => reply.sse(of('a', 'b')))
  app.get('/open', (_request, reply) => reply.sse(probe.source))
  t.same(parse((await app.inject('/')).payload).map(({ data }) => data), ['a', 'b'])

  const url = await listen(app)
  const leave = new AbortController()
  await fetch(`${url}/open`, { signal: leave.signal })
  leave.abort()
  await probe.until(({ unsubscribed }) => unsubscribed === 1)
  t.equal(app.sse.size, 0)
})

t.test('Should subscribe to nothing when a factory ends its own stream', async (t) => {
  const app = await buildApp(t)
  const probe = new Probe()
  let pulled = 0
  const sources: Record<string, SseFactory> = {
    pushed: () => probe.source,
    pulled: async function * () {
      pulled++
      yield 1
    }
  }
  app.get<{ Params: { kind: string } }>('/:kind', (request, reply) => {
    const controller = new AbortController()
    return reply.sse((context) => {
      controller.abort()
      return (sources[request.params.kind] as SseFactory)(context)
    }, { signal: controller.signal })
  })
  for (const kind of ['pushed', 'pulled']) t.equal((await app.inject(`/${kind}`)).payload, ':\n\n')
  t.same([probe.subscribed, pulled, app.sse.size], [0, 0, 0])
})

t.test('Should send nothing more when a serializer ends its own stream', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => {
    const controller = new AbortController()
    return reply.sse(of({ data: 1 }, { data: 2 }), {
      signal: controller.signal,
      serializer (data) {
        if (data === 2) controller.abort()
        return String(data)
      }
    })
  })
  t.same(parse((await app.inject('/')).payload).map(({ data }) => data), ['1'])
})

t.test('Should give a signal that has fired to who asks for it when the stream is over', async (t) => {
  const app = await buildApp(t)
  let context: SseContext | null = null
  app.get('/', (_request, reply) => reply.sse((given) => {
    context = given
    return of(1)
  }))
  await app.inject('/')
  t.equal((context as SseContext | null)?.signal.aborted, true)
})

t.test('Should ask for the key of a bare value as of a message', async (t) => {
  const app = await buildApp(t)
  const seen: unknown[] = []
  app.get('/', (_request, reply) => reply.sse(of('a', { data: 'b' }, 'a', 'always', 'always'), {
    buffer: {
      overflow: {
        latest (message) {
          seen.push(message)
          return message.data === 'always' ? undefined : message.data
        }
      }
    }
  }))
  t.same(parse((await app.inject('/')).payload).map(({ data }) => data), ['a', 'b', 'always', 'always'])
  t.same(seen.slice(0, 3), [{ data: 'a' }, { data: 'b' }, { data: 'a' }])
})

t.test('Should ask a source for one value at a time, however often it is resumed', async (t) => {
  let asked = 0
  const sink = { wantsMore: () => true, next () {}, error () {}, complete () {}, onSubscribe () {} }
  const pulled = new PulledSource({ next: () => { asked++; return new Promise(() => {}) }, cancel () {} }, sink)
  pulled.continue()
  pulled.continue()
  t.equal(asked, 1)
})
