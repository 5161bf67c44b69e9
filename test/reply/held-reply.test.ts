import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, RouteHandlerMethod } from 'fastify'
import { NEVER, Observable, finalize, of, throwError } from 'rxjs'
import type { Subscriber } from 'rxjs'
import t from 'tap'
import sse from '../../index.ts'
import type { SseSource } from '../../index.ts'
import { buildApp, closeAtEnd, isStream, listen, parse } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { fetch, immediate } from '../fixtures/waits.ts'

type MakeHandler = (answer: (reply: FastifyReply) => FastifyReply) => RouteHandlerMethod

const HANDLERS: Readonly<Record<string, MakeHandler>> = {
  'a sync handler without return': (answer) => (_request, reply) => { answer(reply) },
  'a sync handler that returns the reply': (answer) => (_request, reply) => answer(reply),
  'a sync handler that returns something else': (answer) => (_request, reply) => {
    answer(reply)
    return { something: 'else' }
  },
  'a sync handler that throws late': (answer) => (_request, reply) => {
    answer(reply)
    throw new Error('late')
  },
  'an async handler without return': (answer) => async (_request, reply) => { answer(reply) },
  'an async handler that returns the reply': (answer) => async (_request, reply) => answer(reply),
  'an async handler that awaits the reply': (answer) => async (_request, reply) => { await answer(reply) },
  'an async handler that returns something else': (answer) => async (_request, reply) => {
    answer(reply)
    return { something: 'else' }
  },
  'an async handler that throws late': (answer) => async (_request, reply) => {
    answer(reply)
    throw new Error('late')
  },
  'an async handler that calls after a while and throws late': (answer) => async (_request, reply) => {
    await immediate()
    answer(reply)
    throw new Error('late')
  }
}

/** These find the stream open. Where an `onSend` hook fails, they collide with the error's answer in Fastify itself. */
const LATER_HANDLERS: Readonly<Record<string, MakeHandler>> = {
  'an async handler that returns something else when the stream is open': (answer) => async (_request, reply) => {
    answer(reply)
    await immediate()
    await immediate()
    return { something: 'else' }
  },
  'an async handler that throws when the stream is open': (answer) => async (_request, reply) => {
    answer(reply)
    await immediate()
    await immediate()
    throw new Error('late')
  }
}

const WORKING_HOOKS: Readonly<Record<string, (app: FastifyInstance) => void>> = {
  'no onSend hook': () => {},
  'a callback onSend hook': (app) => app.addHook('onSend', (_request, _reply, payload, done) => done(null, payload)),
  'an async onSend hook': (app) => app.addHook('onSend', async (_request, _reply, payload) => { await immediate(); return payload })
}

const FAILING_HOOKS: Readonly<Record<string, (app: FastifyInstance) => void>> = {
  'a callback onSend hook': (app) => app.addHook('onSend', (_request, _reply, payload, done) => {
    if (isStream(payload)) done(new Error('onSend'))
    else done(null, payload)
  }),
  'a late callback onSend hook': (app) => app.addHook('onSend', (_request, _reply, payload, done) => {
    setImmediate(() => {
      if (isStream(payload)) done(new Error('onSend'))
      else done(null, payload)
    })
  }),
  'a throwing onSend hook': (app) => app.addHook('onSend', (_request, _reply, payload, done) => {
    if (isStream(payload)) throw new Error('onSend')
    done(null, payload)
  }),
  'an async onSend hook': (app) => app.addHook('onSend', async (_request, _reply, payload) => {
    if (isStream(payload)) throw new Error('onSend')
  }),
  'a late async onSend hook': (app) => app.addHook('onSend', async (_request, _reply, payload) => {
    await immediate()
    if (isStream(payload)) throw new Error('onSend')
  })
}

const ERROR_HANDLERS: Readonly<Record<string, (app: FastifyInstance) => void>> = {
  'a sync error handler': (app) => {
    app.setErrorHandler((error: Error, _request, reply) => { reply.code(418).send({ handled: error.message }) })
  },
  'an async error handler': (app) => {
    app.setErrorHandler(async (error: Error, _request, reply) => {
      await immediate()
      return reply.code(418).send({ handled: error.message })
    })
  },
  'an async error handler that returns the body': (app) => {
    app.setErrorHandler(async (error: Error, _request, reply) => {
      reply.code(418)
      return { handled: error.message }
    })
  }
}

/** Makes a source that emits in the call, in a microtask and later, and calls `onRelease` when it is unsubscribed from. */
function emitting (onRelease: () => void): Observable<string> {
  return new Observable<string>((subscriber) => {
    subscriber.next('in the call')
    queueMicrotask(() => subscriber.next('in a microtask'))
    void emitLater(subscriber)
  }).pipe(finalize(onRelease))
}

async function emitLater (subscriber: Subscriber<string>): Promise<void> {
  for (let i = 0; i < 3; i++) await immediate()
  subscriber.next('later')
  subscriber.complete()
}

for (const [errors, addErrorHandler] of Object.entries(ERROR_HANDLERS)) {
  for (const [hook, addHook] of Object.entries(WORKING_HOOKS)) {
    t.test(`Should stream whole with ${hook} and ${errors}`, async (t) => {
      let released = 0
      const app = await buildApp(t)
      addErrorHandler(app)
      addHook(app)
      const handlers = Object.entries({ ...HANDLERS, ...LATER_HANDLERS })
      for (const [i, [, handler]] of handlers.entries()) {
        app.get(`/${i}`, handler((reply) => reply.sse(emitting(() => { released++ }))))
      }
      const url = await listen(app)
      for (const [i, [name]] of handlers.entries()) {
        const response = await fetch(`${url}/${i}`)
        t.equal(response.status, 200, name)
        t.equal(response.headers.get('content-type'), 'text/event-stream')
        t.same(parse(await response.text()).map(({ data }) => data), ['in the call', 'in a microtask', 'later'], name)
        t.equal(released, i + 1)
        t.equal(app.sse.size, 0)
      }
    })
  }

  for (const [hook, addHook] of Object.entries(FAILING_HOOKS)) {
    t.test(`Should answer by ${errors} when ${hook} fails`, async (t) => {
      const sources: Readonly<Record<string, SseSource>> = {
        'that is silent': NEVER, 'that emits': emitting(() => {}), 'that has completed': of('a'), 'that is a promise': Promise.resolve(NEVER)
      }
      const app = await buildApp(t, { onOpen: () => t.fail('it never opened') })
      addErrorHandler(app)
      addHook(app)
      const released: string[] = []
      for (const [i, handler] of Object.values(HANDLERS).entries()) {
        for (const [j, [name, source]] of Object.entries(sources).entries()) {
          app.get(`/${i}/${j}`, handler((reply) => reply.sse(({ signal }) => {
            signal.addEventListener('abort', () => { released.push(name) })
            return source as Observable<string>
          })))
        }
      }
      const url = await listen(app)
      for (const [i, name] of Object.keys(HANDLERS).entries()) {
        for (const [j, source] of Object.keys(sources).entries()) {
          const response = await fetch(`${url}/${i}/${j}`)
          t.equal(response.status, 418, `${name}, with a source ${source}`)
          t.same(await response.json(), { handled: 'onSend' })
          t.match(response.headers.get('content-type'), /^application\/json/)
          t.same(released.splice(0), [source])
          t.equal(app.sse.size, 0)
        }
      }
    })
  }

  t.test(`Should answer by ${errors} when the source fails, whatever the handler returns or throws`, async (t) => {
    const app = await buildApp(t)
    addErrorHandler(app)
    const handlers = Object.entries(HANDLERS)
    for (const [i, [, handler]] of handlers.entries()) {
      app.get(`/${i}`, handler((reply) => reply.sse(throwError(() => new Error('source')))))
    }
    const url = await listen(app)
    for (const [i, [name]] of handlers.entries()) {
      const response = await fetch(`${url}/${i}`)
      t.equal(response.status, 418, name)
      t.same(await response.json(), { handled: 'source' })
    }
    t.equal(app.sse.size, 0)
  })
}

t.test('Should tell of what a handler returned or threw late in the log alone', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.get('/', async (_request, reply) => {
    reply.sse(of('a'))
    throw new Error('late')
  })
  const response = await fetch(await listen(app))
  t.same(parse(await response.text()).map(({ data }) => data), ['a'])
  t.match(logs.alarms, [{ err: { message: 'late' } }])
})

t.test('Should answer when an onSend hook fails in a scope of its own, and where nothing was found', async (t) => {
  const app = await buildApp(t)
  let released = 0
  const source = NEVER.pipe(finalize(() => { released++ }))
  app.addHook('onSend', async (_request, _reply, payload) => { if (isStream(payload)) throw new Error('onSend') })
  app.setNotFoundHandler((_request, reply) => reply.sse(source))
  app.register(async (scope) => { scope.get('/scope', (_request, reply) => reply.sse(source)) })
  const url = await listen(app)
  for (const path of ['/scope', '/missing']) {
    const response = await fetch(url + path)
    t.equal(response.status, 500)
    t.match(await response.json(), { message: 'onSend' })
  }
  t.equal(released, 2)
  t.equal(app.sse.size, 0)
})

// Fastify runs no onError hook behind one that has failed.
t.test('Should answer when an onSend hook fails, and then an onError hook of the user', async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  closeAtEnd(t, app)
  app.addHook('onError', async () => { throw new Error('onError') })
  await app.register(sse)
  let released = 0
  app.addHook('onSend', async (_request, _reply, payload) => { if (isStream(payload)) throw new Error('onSend') })
  app.get('/', (_request, reply) => reply.sse(NEVER.pipe(finalize(() => { released++ }))))
  const response = await fetch(await listen(app))
  t.equal(response.status, 500)
  t.match(await response.json(), { message: 'onSend' })
  t.equal(released, 1)
  t.equal(app.sse.size, 0)
})

// Nor one for the answer of an error handler.
t.test('Should answer when an onSend hook fails for a stream that an error handler answers with', async (t) => {
  for (const [hook, addHook] of Object.entries(FAILING_HOOKS)) {
    const app = await buildApp(t)
    addHook(app)
    let released = 0
    app.setErrorHandler((_error, _request, reply) => reply.code(503).sse(NEVER.pipe(finalize(() => { released++ }))))
    app.get('/', () => { throw new Error('handler') })
    const response = await fetch(await listen(app))
    t.equal(response.status, 503, hook)
    t.match(await response.json(), { message: 'onSend' })
    t.equal(released, 1, hook)
    t.equal(app.sse.size, 0)
  }
})
