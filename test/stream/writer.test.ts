import { createServer, request, ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { Writer } from '../../lib/stream/writer.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

const first = new Frame(':\n\n')
const source = { flush () {}, onWriterClosed (_error?: unknown) {} }

/** A response of a real server, and what its client has received when it is over. */
async function respond (t: Test, write: (response: ServerResponse, open: () => Writer) => void): Promise<{ body: string }> {
  const server = createServer((_request, response) => {
    write(response, () => new Writer(response, first, source, null))
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

/** Counts the calls of the socket's `write` with a whole chunk in one buffer: Node itself writes it in three parts. */
function countChunks (response: ServerResponse): () => number {
  const socket = response.socket as Socket
  const { write } = socket
  let count = 0
  socket.write = function (...args: unknown[]) {
    if (args[0] instanceof Uint8Array && /^[0-9a-f]+\r\n[^]*\r\n$/.test(Buffer.from(args[0]).toString('latin1'))) count++
    return Reflect.apply(write, socket, args)
  } as typeof write
  return () => count
}

t.test('Should write chunks to the socket of a response, which then ends as any other', async (t) => {
  let chunks: (() => number) | undefined
  const { body } = await respond(t, (response, open) => {
    chunks = countChunks(response)
    const writer = open()
    setImmediate(() => writeAll(response, writer))
  })
  t.equal(body, whole)
  t.equal(chunks?.(), 2, 'all but the first bytes, and the large frame, whose pieces are chunks of the response')
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
  const { body } = await respond(t, (response, open) => {
    count(response)
    writeAll(response, open())
  })
  t.equal(body, whole)
  t.ok(wrote >= 1 + frames.length)
})

t.test('Should go back to the response when its write is wrapped later', async (t) => {
  let wrote = 0
  const { body } = await respond(t, (response, open) => {
    const writer = open()
    setImmediate(() => {
      writer.write(frames[0] as Frame)
      const { write } = response
      response.write = function (...args: Parameters<typeof write>) {
        wrote++
        return Reflect.apply(write, response, args)
      } as typeof write
      writer.write(frames[2] as Frame)
      response.end()
    })
  })
  t.equal(body, `${first}${frames[0]}${frames[2]}`)
  t.equal(wrote, 1)
})

t.test('Should write nothing behind the end of a response that somebody else has ended', async (t) => {
  const closings: unknown[] = []
  source.onWriterClosed = (error) => closings.push(error)
  const { body } = await respond(t, (response, open) => {
    const writer = open()
    setImmediate(() => {
      writer.write(frames[0] as Frame)
      response.end()
      writer.write(frames[2] as Frame)
      t.equal(writer.isBlocked, true)
      writer.awaitDrain()
      t.equal(response.listenerCount('drain'), 0)
    })
  })
  t.equal(body, `${first}${frames[0]}`)
  t.same(closings, [undefined])
})

t.test('Should write through a response that has lost its socket', async (t) => {
  const { body } = await respond(t, (response, open) => {
    const writer = open()
    setImmediate(() => {
      const socket = response.socket as Socket
      response.detachSocket(socket)
      writer.write(frames[0] as Frame)
      t.ok(writer.unsentBytes > 0, 'it waits in the response')
      response.assignSocket(socket)
      response.end()
    })
  })
  t.equal(body, `${first}${frames[0]}`)
})

t.test('Should keep the bytes of others out of its chunks, and behind those that came before', async (t) => {
  const { body } = await respond(t, (response, open) => {
    const writer = open()
    setImmediate(() => {
      response.cork()
      response.write(': a\n')
      writer.write(frames[0] as Frame)
      response.uncork()
      source.flush = () => {
        writer.release()
        response.end()
      }
      writer.write(frames[1] as Frame)
      response.write(': b\n')
    })
  })
  t.ok(body.startsWith(`${first}: a\n${frames[0]}`))
  t.equal(body.length, `${first}: a\n${frames[0]}${frames[1]}: b\n`.length)
  t.match(body, /: b\n/)
})

t.test('Should report what a destination throws, and be blocked from then on', async (t) => {
  const closings: unknown[] = []
  source.onWriterClosed = (error) => closings.push(error)
  const broken = new Error('no')
  await respond(t, (response, open) => {
    const writer = open()
    response.write = () => { throw broken }
    writer.write(frames[0] as Frame)
    t.same(closings, [broken])
    t.equal(writer.isBlocked, true)
    let called = 0
    writer.onceHandedOn(() => { called++ })
    t.equal(called, 1)
    Reflect.deleteProperty(response, 'write')
    response.end()
  })
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
  const { body } = await respond(t, (response, open) => {
    writeAll(response, open())
  })
  t.equal(body, whole)
  t.ok(wrote >= 1 + frames.length)
})

t.test('Should write no chunks where the body has none', async (t) => {
  const { body } = await respond(t, (response, open) => {
    response.setHeader('content-length', Buffer.byteLength(whole))
    writeAll(response, open())
  })
  t.equal(body, whole)
})

t.test('Should tell what has not left', async (t) => {
  await respond(t, (response, open) => {
    const writer = open()
    t.equal(writer.isBlocked, false)
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
  await respond(t, (response, open) => {
    const { socket } = response
    const before = socket?.listenerCount('drain') ?? -1
    const writer = open()
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
