import { RedisEventLog } from 'fastify-rxjs-sse/redis'
import { createClient } from 'redis'
import { HISTORY } from './rooms.ts'
import type { ChatMessage, Logs } from './rooms.ts'

/** Logs that all processes share, as soon as Redis is there. */
export async function openRedis (url: string): Promise<Logs> {
  const client = createClient({ url })
  // The client reconnects by itself; an error that nobody listens for would end the process.
  client.on('error', () => {})
  client.once('error', complain)
  await client.connect()
  client.off('error', complain)
  return {
    openLog: (room) => new RedisEventLog<ChatMessage>({ ...HISTORY, client, key: `chat:${room}`, logger }),
    close: async () => { await client.close() }
  }
}

/** Where Redis is away when the process starts; later, the logs tell. */
function complain ({ message, code }: NodeJS.ErrnoException): void {
  console.error(`Redis cannot be reached, trying again: ${message === '' ? code : message}`)
}

const logger = {
  warn: (_details: object, message: string) => console.error(message),
  info: (_details: object, message: string) => console.error(message)
}
