import cluster from 'node:cluster'
import { MemoryEventLog } from 'fastify-rxjs-sse'
import { build } from './app.ts'
import { supervise } from './processes.ts'

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
  const { openLog, close } = REDIS_URL === undefined ? openMemory() : await openRedis(REDIS_URL)
  const app = await build(openLog)
  app.addHook('onClose', close)

  // Ends every stream; then nothing keeps the process running, but for the channel to the one that started it.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, async () => {
      await app.close()
      if (cluster.isWorker) process.disconnect()
    })
  }

  const { port } = new URL(await app.listen({ port: Number(PORT) }))
  if (cluster.isPrimary) announce(Number(port))
}

function announce (port: number): void {
  console.log(`Chat at http://localhost:${port}`)
}

function fail (reason: string): void {
  console.error(reason)
  process.exitCode = 1
}
