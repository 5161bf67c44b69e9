import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import sse from 'fastify-rxjs-sse'
import type { EventLog } from 'fastify-rxjs-sse'
import { Rooms } from './rooms.ts'
import type { ChatMessage, Logs } from './rooms.ts'

const params = {
  type: 'object',
  properties: { room: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,31}$' } }
}

const body = {
  type: 'object',
  required: ['name', 'text'],
  properties: {
    name: { type: 'string', maxLength: 32, pattern: '\\S' },
    text: { type: 'string', maxLength: 1000, pattern: '\\S' },
    key: { type: 'string', pattern: '^[\\w-]{1,64}$' }
  }
}

interface RoomRoute {
  Params: { room: string }
}

interface PostRoute extends RoomRoute {
  Body: { name: string, text: string, key?: string }
}

/** The chat, on logs of any kind, which are closed with it. */
export async function build ({ openLog, close }: Logs, maxRooms = 100): Promise<FastifyInstance> {
  // Browsers open sockets ahead of need, and never come back to a stream that was answered 503.
  const app = Fastify({ bodyLimit: 16 * 1024, forceCloseConnections: true, return503OnClosing: false })
  const rooms = new Rooms(openLog, maxRooms)
  app.addHook('onClose', close)

  // A browser whose stream breaks comes back after a second; after a restart, each at its own moment.
  await app.register(sse, { retry: 1000, shutdown: { retry: [500, 1500] } })

  // What came after the last message that this browser has seen, and then what comes.
  app.get<RoomRoute>('/rooms/:room/events', { schema: { params } }, ({ params: { room } }, reply) =>
    reply.sse<ChatMessage | number>(
      ({ lastEventId, signal }) => withServer(rooms.enter(room, signal), lastEventId, signal),
      { lastEventIdQuery: 'lastEventId' }
    ))

  app.post<PostRoute>('/rooms/:room/messages', { schema: { params, body } }, async ({ params, body }, reply) => {
    const { name, text, key = randomUUID() } = body
    const id = await rooms.append(params.room, { name, text, time: Date.now(), key })
    return reply.code(201).send({ id })
  })

  await servePage(app)
  return app
}

/** Which process serves the connection, which is no part of the history and so has no id; and then the room. */
async function * withServer (log: EventLog<ChatMessage>, lastEventId: string | undefined, signal: AbortSignal) {
  yield { type: 'server', data: process.pid }
  // Without the signal, a generator that waits here would hear that its reader has left only with the next message.
  yield * log.after(lastEventId, { signal })
}

/** The page, as it is: there is no build step. */
async function servePage (app: FastifyInstance): Promise<void> {
  const files = new URL('../../../examples/chat/', import.meta.url)
  for (const [path, file, type] of [
    ['/', 'page.html', 'text/html'],
    ['/page.css', 'page.css', 'text/css'],
    ['/page.js', 'page.js', 'text/javascript'],
    ['/messages.js', 'messages.js', 'text/javascript'],
    ['/room.js', 'room.js', 'text/javascript'],
    ['/send.js', 'send.js', 'text/javascript']
  ] as const) {
    const content = await readFile(new URL(file, files))
    app.get(path, (_request, reply) => reply
      .headers({ 'content-security-policy': "default-src 'self'; img-src data:", 'x-content-type-options': 'nosniff' })
      .type(`${type}; charset=utf-8`)
      .send(content))
  }
}
