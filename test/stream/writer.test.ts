import { createServer, request, ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { Writer } from '../../lib/stream/writer.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

const first = new Frame(':\n\n')
const source = { flush () {} }

/** A response of a real server, and what its client has received when it is over. */
async function respond (t: Test, write: (response: ServerResponse, writer: Writer) => void): Promise<{ body: string }> {
  const server = createServer((_request, response) => {
    write(response, new Writer(response, source, null))
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  const message = await new Promise<IncomingMessage>((resolve) => { request({ port, host: '127.0.0.1' }, resolve).end() })
  let body = ''
  for await (const chunk of message.setEncoding('utf8')) body += chunk
  return { body }
}

const frames = ['data: a\n\n', `data: ${'é'.repeat(100_000)}\n\n`, ': end\n\n'].map((text) => new Frame(text))
const whole = [first, ...frames].join('')

/** Writes all frames, each when the writer takes it. */
function writeAll (response: ServerResponse, writer: Writer): void {
  const queue = [...frames]
  source.flush = () => {
    while (!writer.isBlocked) {
      const frame = queue.shift()
      if (frame === undefined) {
        writer.release()
        response.end()
        return
      }
      writer.write(frame)
    }
  }
  source.flush()
}

t.test('Should write chunks to the socket of a response, which then ends as any other', async (t) => {
  let wrote = 0
  const { body } = await respond(t, (response, writer) => {
    writer.open(first)
    const { write } = response
    response.write = function (...args: Parameters<typeof write>) {
      wrote++
      return Reflect.apply(write, response, args)
    } as typeof write
    writeAll(response, writer)
  })
  t.equal(body, whole)
  t.equal(wrote, 0, 'the response is not asked after its head')
})

t.test('Should leave a response alone whose write is not Node\'s own', async (t) => {
  let wrote = 0
  const count = (response: ServerResponse): void => {
    const { write } = response
    response.write = function (...args: Parameters<typeof write>) {
      wrote++
      return Reflect.apply(write, response, args)
    } as typeof write
  }
  const { body } = await respond(t, (response, writer) => {
    count(response)
    writer.open(first)
    writeAll(response, writer)
  })
  t.equal(body, whole)
  t.ok(wrote >= 1 + frames.length)
})

t.test('Should leave a response alone whose write is wrapped on a prototype later', async (t) => {
  const own = Object.getOwnPropertyDescriptor(ServerResponse.prototype, 'write')
  t.equal(own, undefined)
  let wrote = 0
  const { write } = ServerResponse.prototype
  ServerResponse.prototype.write = function (this: ServerResponse, ...args: Parameters<typeof write>) {
    wrote++
    return Reflect.apply(write, this, args)
  } as typeof write
  t.teardown(() => Reflect.deleteProperty(ServerResponse.prototype, 'write'))
  const { body } = await respond(t, (response, writer) => {
    writer.open(first)
    writeAll(response, writer)
  })
  t.equal(body, whole)
  t.ok(wrote >= 1 + frames.length)
})

t.test('Should write no chunks where the body has none', async (t) => {
  const { body } = await respond(t, (response, writer) => {
    response.setHeader('content-length', Buffer.byteLength(whole))
    writer.open(first)
    writeAll(response, writer)
  })
  t.equal(body, whole)
})

t.test('Should tell what has not left', async (t) => {
  await respond(t, (response, writer) => {
    t.equal(writer.isBlocked, false)
    writer.open(first)
    writer.write(new Frame(`data: ${'x'.repeat(2 ** 20)}\n\n`))
    t.equal(writer.isBlocked, true)
    t.ok(writer.unsentBytes >= 2 ** 20, 'all of it, in the socket or waiting')
    t.ok((response.socket?.writableLength ?? 0) <= 2 * 64 * 1024, 'in pieces')
    source.flush = () => {
      writer.release()
      response.end()
    }
  })
})

t.test('Should leave no listener on a socket that is used again', async (t) => {
  let listeners: number[] = []
  await respond(t, (response, writer) => {
    const { socket } = response
    const before = socket?.listenerCount('drain') ?? -1
    writer.open(first)
    const idle = socket?.listenerCount('drain') ?? -1
    source.flush = () => {
      writer.release()
      listeners = [before, idle, socket?.listenerCount('drain') ?? -1]
      response.end()
    }
    writer.write(new Frame(`data: ${'x'.repeat(2 ** 20)}\n\n`))
  })
  const [before, idle, after] = listeners
  t.same([idle, after], [before, before], 'nor on one that was never blocked')
})
