import cluster from 'node:cluster'
import { MemoryEventLog } from 'fastify-rxjs-sse'
import { build } from './app.ts'
import { supervise } from './processes.ts'
import { HISTORY } from './rooms.ts'
import type { ChatMessage, Logs } from './rooms.ts'

const { PORT = '3000', PROCESSES = '1', REDIS_URL } = process.env
const count = Number(PROCESSES)

if (!Number.isInteger(count) || count < 1 || count > 64) {
  fail(`PROCESSES must be a whole number from 1 to 64; it is ${PROCESSES}`)
} else if (count > 1 && REDIS_URL === undefined) {
  fail(`PROCESSES=${PROCESSES} needs REDIS_URL: what one process has in its memory, the others do not see`)
} else if (count > 1 && cluster.isPrimary) {
  supervise(count, announce)
} else {
  await serve()
}

async function serve (): Promise<void> {
  const app = await build(await openLogs())

  // Ends every stream; then nothing keeps the process running, but for the channel to the one that started it.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, async () => {
      await app.close()
      if (process.connected) process.disconnect()
    })
  }

  const { port } = new URL(await app.listen({ port: Number(PORT) }))
  if (cluster.isPrimary) announce(Number(port))
}

async function openLogs (): Promise<Logs> {
  if (REDIS_URL === undefined) {
    return { openLog: () => new MemoryEventLog<ChatMessage>(HISTORY), close: async () => {} }
  }
  // Who runs on memory needs no client.
  const { openRedis } = await import('./redis.ts')
  return await openRedis(REDIS_URL)
}

function announce (port: number): void {
  console.log(`Chat at http://localhost:${port}`)
}

function fail (reason: string): void {
  console.error(reason)
  process.exitCode = 1
}
