import { once } from 'node:events'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { RawClient, listen } from '../fixtures/app.ts'
import { fact } from '../fixtures/fact.ts'
import { Logs } from '../fixtures/logs.ts'
import { deferred } from '../fixtures/one-route.ts'
import { Payload, buildBare, valueOf } from '../fixtures/payload.ts'

// What this plugin knows of how Fastify sends a payload that has a pipe: lib/reply/held-reply.ts relies on it.

/** A route that answers with a payload. */
function answering (t: Test, payload: Payload, logs = new Logs()): FastifyInstance {
  const app = buildBare(t, { logger: logs.logger })
  app.get('/', (_request, reply) => { reply.header('x-header', 'set').send(payload) })
  return app
}

fact('Fastify runs the onSend hooks with a payload that has a pipe, then calls pipe(reply.raw)', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  app.addHook('onSend', async (_request, reply, sent) => {
    t.equal(sent, payload)
    t.same(payload.calls, [])
    reply.header('x-hook', 'ran')
  })
  let isRaw = false
  app.addHook('onRequest', async (_request, reply) => {
    payload.onPipe = (destination) => {
      isRaw = destination === reply.raw as unknown
      destination.end()
    }
  })
  t.match(await app.inject('/'), { statusCode: 200, headers: { 'x-hook': 'ran' } })
  t.equal(payload.calls[0], 'pipe')
  t.ok(isRaw)
})

fact('Fastify sets the headers on the response before it calls pipe', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  let header: unknown
  app.addHook('onSend', async (_request, reply) => {
    payload.onPipe = (destination) => {
      t.equal(reply.raw.headersSent, false)
      header = reply.raw.getHeader('x-header')
      destination.end()
    }
  })
  await app.inject('/')
  t.equal(header, 'set')
})

fact('Fastify listens to the payload, then to the response, then calls pipe, with nothing between', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  const order: string[] = []
  app.addHook('onSend', async (_request, reply) => {
    payload.on('newListener', () => order.push('payload'))
    reply.raw.on('newListener', () => order.push('response'))
    payload.onPipe = (destination) => {
      order.push('pipe')
      destination.end()
    }
  })
  await app.inject('/')
  t.match(order.join(' '), /^(payload )+(response )+pipe/)
})

// So that they may be removed: two kilobytes a connection.
fact('Fastify needs none of the listeners that it adds to the payload and then to the response', async (t) => {
  const payload = new Payload()
  const logs = new Logs()
  const app = answering(t, payload, logs)
  const { promise: responded, resolve: onResponse } = deferred<void>()
  app.addHook('onResponse', async () => onResponse())
  app.addHook('onSend', async (_request, reply) => {
    const { raw } = reply
    const before = new Map(raw.eventNames().map((name) => [name, raw.rawListeners(name)]))
    payload.onPipe = (destination) => {
      payload.emit('end')
      payload.removeAllListeners()
      for (const name of raw.eventNames()) {
        for (const listener of raw.rawListeners(name)) {
          if (before.get(name)?.includes(listener) !== true) raw.removeListener(name, listener as () => void)
        }
      }
      destination.end('whole')
    }
  })
  const response = await fetch(await listen(app))
  t.equal(await response.text(), 'whole')
  await responded
  await logs.until(({ msg }) => msg === 'request completed')
  t.same(payload.calls, ['pipe'])
  t.same(logs.alarms, [])
})

fact('Fastify takes a payload that has emitted end for whole, and leaves it alone when the client leaves', async (t) => {
  const payload = new Payload()
  const logs = new Logs()
  const app = answering(t, payload, logs)
  const { promise: closed, resolve: onClose } = deferred<void>()
  payload.onPipe = (destination) => {
    payload.emit('end')
    destination.write('begun')
    destination.on('close', () => setImmediate(onClose))
  }
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await client.until(/begun/)
  client.socket.destroy()
  await closed
  t.same(payload.calls, ['pipe'])
  t.notOk(logs.lines.some(({ msg }) => msg.includes('premature')))
})

fact('Fastify destroys a payload that has not ended when the client leaves', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  payload.onPipe = (destination) => { destination.write('begun') }
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await client.until(/begun/)
  const { promise: destroyed, resolve } = deferred<void>()
  payload.destroy = () => {
    resolve()
    return payload
  }
  client.socket.destroy()
  await destroyed
})

fact('Fastify answers by an error handler when a payload emits an error in pipe', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send(error.message))
  payload.onPipe = () => { payload.emit('error', new Error('in pipe')) }
  t.match(await app.inject('/'), { statusCode: 418, payload: 'in pipe' })
})

fact('Fastify calls resume, and not pipe, on an automatic HEAD route', async (t) => {
  const payload = new Payload()
  await answering(t, payload).inject({ method: 'HEAD', url: '/' })
  t.same(payload.calls, ['resume'])
})

fact('Fastify calls resume, and not pipe, where an onSend hook has made it a 204', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  app.addHook('onSend', async (_request, reply) => { reply.code(204) })
  t.equal((await app.inject('/')).statusCode, 204)
  t.same(payload.calls, ['resume'])
})

fact('Fastify says { end: false } to pipe where it sends trailers, and ends the response when the payload emits end', async (t) => {
  const payload = new Payload()
  const app = buildBare(t)
  let trailers: unknown = null
  app.get('/', (_request, reply) => {
    payload.onPipe = (destination) => {
      trailers = valueOf(reply, 'fastify.reply.trailers')
      destination.write('body')
      process.nextTick(() => payload.emit('end'))
    }
    return reply.trailer('x-trailer', async () => 'sent').send(payload)
  })
  await listen(app)
  const client = new RawClient(app)
  client.get('/', 'Connection: close')
  await once(client.socket, 'end')
  t.match(client.text, /body\r\n0\r\nx-trailer: sent\r\n\r\n$/)
  t.same(payload.options, { end: false })
  t.not(trailers, null)
})

fact('Fastify keeps null under fastify.reply.trailers where a reply has none', async (t) => {
  const payload = new Payload()
  const app = answering(t, payload)
  let trailers: unknown
  app.addHook('onSend', async (_request, reply) => {
    reply.trailer('x-trailer', async () => 'sent').removeTrailer('x-trailer')
    payload.onPipe = (destination) => {
      trailers = valueOf(reply, 'fastify.reply.trailers')
      destination.end()
    }
  })
  await app.inject('/')
  t.equal(trailers, null)
  t.same(payload.options, undefined)
})
