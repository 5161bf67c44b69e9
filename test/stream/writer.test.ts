import { createServer, request, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { Writer } from '../../lib/stream/writer.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { deferred, immediate, once, within } from '../fixtures/waits.ts'

limitEachTest()

const first = new Frame(':\n\n')
const source = { flush () {} }

/** Has a real server answer with what `write` writes; gives the body that its client has received. */
async function respond (t: Test, write: (response: ServerResponse, writer: Writer) => void | Promise<void>): Promise<{ body: string }> {
  const written = deferred<void>()
  const server = createServer((_request, response) => {
    written.resolve(write(response, new Writer(response, source, null)) as undefined)
  })
  t.teardown(() => { server.close().closeAllConnections() })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const [message] = await once(request({ port, host: '127.0.0.1' }).end(), 'response')
  const body = await within(text(message), 'the body')
  await written.promise
  return { body }
}

/** Counts the chunks that go straight to a socket: each is one write, with the size before the event. */
function countChunks (socket: Socket | null): () => number {
  if (socket === null) throw new Error('a response without a socket')
  let count = 0
  const { write } = socket
  socket.write = ((...args: Parameters<typeof write>) => {
    if (/^[\da-f]+\r\n./.test(Buffer.from(args[0]).toString('latin1', 0, 10))) count++
    return Reflect.apply(write, socket, args)
  }) as typeof write
  return () => count
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
  let chunks: (() => number) | undefined
  const { body } = await respond(t, async (response, writer) => {
    writer.open(first)
    // Node 26 holds the first write of a response back to the end of the turn: the writer may look again at the next.
    await immediate()
    writer.write(first)
    await immediate()
    chunks = countChunks(response.socket)
    writeAll(response, writer)
  })
  t.equal(body, `${first}${whole}`)
  t.equal(chunks?.(), frames.length, 'the response is not asked for them')
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
