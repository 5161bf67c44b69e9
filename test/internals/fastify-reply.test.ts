import type { FastifyReply, RouteHandlerMethod } from 'fastify'
import { fact } from '../fixtures/fact.ts'
import { Payload, buildBare, setValue, valueOf } from '../fixtures/payload.ts'

// What this plugin knows of how Fastify takes what a handler returns or throws: lib/reply/held-reply.ts relies on it.

const NEXT = 'fastify.reply.nextErrorHandler'
const IS_ERROR = 'fastify.reply.isError'

/** Has `reply.sent` say what the plugin wants it to. */
function hold (reply: FastifyReply, isHeld: () => boolean): void {
  Object.defineProperty(reply, 'sent', { configurable: true, get: isHeld })
}

const HANDLERS: Readonly<Record<string, RouteHandlerMethod>> = {
  'returns something from a sync handler': () => ({ something: 'else' }),
  'returns nothing from an async handler': async () => {},
  'returns something from an async handler': async () => ({ something: 'else' }),
  'throws in a sync handler': () => { throw new Error('late') },
  'throws in an async handler': async () => { throw new Error('late') },
  'sends in a handler': (_request, reply) => { reply.send('something else') }
}

for (const [name, handler] of Object.entries(HANDLERS)) {
  fact(`Fastify asks reply.sent before it answers with what one ${name}`, async (t) => {
    const app = buildBare(t)
    app.get('/', function (request, reply) {
      let isHeld = true
      hold(reply, () => isHeld)
      setImmediate(() => {
        isHeld = false
        setValue(reply, IS_ERROR, false)
        if (!reply.raw.headersSent) reply.send('the answer')
      })
      return Reflect.apply(handler, this, [request, reply]) as unknown
    })
    t.equal((await app.inject('/')).payload, 'the answer')
  })
}

fact('Fastify asks reply.sent when handlerTimeout is over', async (t) => {
  const app = buildBare(t, { handlerTimeout: 10 })
  app.get('/', (request, reply) => {
    let asked = 0
    hold(reply, () => { asked++; return true })
    setTimeout(() => {
      const { aborted } = request.signal
      reply.raw.end(`asked: ${asked > 0}, aborted: ${aborted}`)
    }, 50)
  })
  t.equal((await app.inject('/')).payload, 'asked: true, aborted: false')
})

fact('Fastify makes an error of what is sent next where a handler threw while reply.sent was true', async (t) => {
  const app = buildBare(t)
  app.setErrorHandler((error, _request, reply) => reply.code(418).send(error))
  app.get('/:isError', (request, reply) => {
    let isHeld = true
    hold(reply, () => isHeld)
    setImmediate(() => {
      t.equal(valueOf(reply, IS_ERROR), true)
      if ((request.params as { isError: string }).isError === 'no') setValue(reply, IS_ERROR, false)
      isHeld = false
      reply.send('payload')
    })
    throw new Error('late')
  })
  t.match(await app.inject('/yes'), { statusCode: 418 })
  t.match(await app.inject('/no'), { statusCode: 200, payload: 'payload' })
})

fact('Fastify changes what is under fastify.reply.nextErrorHandler whenever it calls an error handler', async (t) => {
  const app = buildBare(t)
  const seen: unknown[] = []
  const fail = (error: Error, _request: unknown, reply: FastifyReply): void => {
    // It would be called for ever, if it stayed the next.
    if (seen.push(valueOf(reply, NEXT)) > 3) reply.raw.end()
    else throw error
  }
  app.setErrorHandler(fail)
  app.register(async (scope) => {
    scope.setErrorHandler(fail)
    scope.get('/', (_request, reply) => {
      seen.push(valueOf(reply, NEXT))
      throw new Error('handler')
    })
  })
  await app.inject('/')
  t.equal(seen[0], undefined)
  t.equal(new Set(seen).size, 3, 'another one each time')
})

fact('Fastify calls an error handler when an onSend hook fails, and sends what that answers', async (t) => {
  const app = buildBare(t)
  const payload = new Payload()
  let changed = false
  app.addHook('onSend', async (_request, _reply, sent) => { if (sent === payload) throw new Error('onSend') })
  app.setErrorHandler((error: Error, _request, reply) => {
    changed = valueOf(reply, NEXT) !== undefined
    return reply.code(418).send(error.message)
  })
  app.get('/', (_request, reply) => { reply.send(payload) })
  t.match(await app.inject('/'), { statusCode: 418, payload: 'onSend' })
  t.ok(changed)
  t.same(payload.calls, [])
})

fact('Fastify runs the onError hooks before it calls the first error handler', async (t) => {
  const app = buildBare(t)
  const order: string[] = []
  app.addHook('onError', async () => { order.push('hook') })
  app.setErrorHandler((error: Error, _request, reply) => {
    order.push('handler')
    return reply.send(error)
  })
  app.get('/', () => { throw new Error('handler') })
  await app.inject('/')
  t.same(order, ['hook', 'handler'])
})

fact('Fastify puts a decorator with a getter on the prototype of replies, and costs none of them a thing', async (t) => {
  const app = buildBare(t)
  const key = Symbol('key')
  const value = {}
  app.decorateReply(key, { getter: () => value })
  let own: readonly symbol[] = []
  let found: unknown
  app.get('/', (_request, reply) => {
    own = Object.getOwnPropertySymbols(reply)
    found = Reflect.get(reply, key)
    return 'done'
  })
  await app.inject('/')
  t.equal(found, value)
  t.notOk(own.includes(key))
})

fact('Fastify gives the compiled serializer of a response schema by status and content type', async (t) => {
  const app = buildBare(t)
  const schema = { type: 'object', properties: { shown: { type: 'string' } } }
  let serialize: ((data: unknown) => string) | undefined
  app.get('/', { schema: { response: { 200: { content: { 'text/event-stream': { schema } } } } } }, (_request, reply) => {
    serialize = reply.getSerializationFunction('200', 'text/event-stream') as typeof serialize
    return reply.type('text/plain').send('done')
  })
  await app.inject('/')
  t.equal(serialize?.({ shown: 'yes', hidden: 'no' }), '{"shown":"yes"}')
})
