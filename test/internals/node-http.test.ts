import { once } from 'node:events'
import { createServer, OutgoingMessage } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { connect } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { PassThrough, pipeline } from 'node:stream'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { fact } from '../fixtures/fact.ts'
import { deferred } from '../fixtures/one-route.ts'
import { Payload } from '../fixtures/payload.ts'

// What this plugin knows of Node's HTTP servers: lib/stream/writer.ts and lib/reply rely on it.

async function listening (t: Test, server: Server): Promise<number> {
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A server, and a client of it that has sent these requests. */
async function requesting (t: Test, onRequest: RequestListener, ...requests: string[]): Promise<Socket> {
  const client = connect(await listening(t, createServer(onRequest)), '127.0.0.1')
  t.teardown(() => client.destroy())
  client.write(requests.map((request) => `${request} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
  return client
}

function socketOf (response: ServerResponse): Socket {
  if (response.socket === null) throw new Error('a response without a socket')
  return response.socket
}

fact('Node\'s write of a response is recognised by its source text', async (t) => {
  const source = Function.prototype.toString.call(OutgoingMessage.prototype.write)
  t.match(source, /write_\(this/, 'the direct way to the socket is taken')
  t.match(source, /^function write\(/, 'and if not, one that is not Node\'s is told from one that is unknown')
})

fact('A chunked response has as many bytes waiting as its socket, once its head and a chunk are written', async (t) => {
  const { promise: lengths, resolve } = deferred<[number, number]>()
  await requesting(t, (_request, response) => {
    response.write(':\n')
    setImmediate(() => {
      resolve([response.writableLength, socketOf(response).writableLength])
      response.end()
    })
  }, 'GET /')
  const [response, socket] = await lengths
  t.equal(response, socket)
})

// Node 20 holds them back in the socket; later ones in the response, and the direct way would overtake them.
fact('Bytes that a response holds back are in its socket, or make it have more of them waiting', async (t) => {
  const client = await requesting(t, (_request, response) => {
    response.setHeader('connection', 'close')
    response.write('a')
    setImmediate(() => {
      const socket = socketOf(response)
      response.cork()
      response.write('b')
      if (response.writableLength === socket.writableLength) socket.write('1\r\nc\r\n')
      else response.write('c')
      response.end()
    })
  }, 'GET /')
  t.equal((await text(client)).replace(/^.*\r\n\r\n1/s, '').replaceAll(/[\r\n\d]/g, ''), 'abc')
})

fact('A chunk that is written to the socket itself arrives between those of its response', async (t) => {
  const client = await requesting(t, (_request, response) => {
    response.setHeader('connection', 'close')
    response.write('a')
    setImmediate(() => {
      socketOf(response).write('1\r\nb\r\n')
      response.write('c')
      response.end()
    })
  }, 'GET /')
  t.match(await text(client), /\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n$/)
})

fact('A response behind another of its connection has no socket yet, and its request has one that closes', async (t) => {
  const requests: IncomingMessage[] = []
  const responses: ServerResponse[] = []
  const { promise: both, resolve } = deferred<void>()
  const client = await requesting(t, (request, response) => {
    requests.push(request)
    if (responses.push(response) === 2) resolve()
  }, 'GET /first', 'GET /second')
  await both
  const [first, second] = responses
  t.not(first?.socket, null)
  t.equal(second?.socket, null)
  const closed = once(requests[1]?.socket ?? client, 'close')
  client.destroy()
  await closed
})

fact('Node sets a timeout of its own when a response has ended, and takes it back with the next request', async (t) => {
  const timeouts: Array<number | undefined> = []
  const { promise: over, resolve } = deferred<void>()
  const client = await requesting(t, (request, response) => {
    timeouts.push(request.socket.timeout)
    if (timeouts.length > 2) resolve()
    response.end()
    setImmediate(() => {
      timeouts.push(request.socket.timeout)
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    })
  }, 'GET /')
  await over
  const [before, between, after] = timeouts
  t.ok((between ?? 0) > 0, 'for an idle connection')
  t.same([before ?? 0, after], [0, 0])
})

fact('pipeline() calls pipe with { end: false } on what is no Readable, and listens for its end', async (t) => {
  const payload = new Payload()
  payload.onPipe = (destination) => {
    destination.write('piped')
    process.nextTick(() => payload.emit('end'))
  }
  const between = new PassThrough()
  pipeline(payload as unknown as Readable, between, () => {})
  t.equal(await text(between), 'piped')
  t.same([payload.calls, payload.options], [['pipe'], { end: false }])
})

fact('A connection listener that is put first hears of a socket before Node makes an HTTP/2 session on it', async (t) => {
  const server = createHttp2Server()
  const order: string[] = []
  const { promise: made, resolve } = deferred<void>()
  server.prependListener('connection', () => order.push('connection'))
  server.on('session', () => {
    order.push('session')
    resolve()
  })
  const client = connectHttp2(`http://127.0.0.1:${await listening(t, server)}`)
  await made
  client.destroy()
  t.same(order, ['connection', 'session'])
})
