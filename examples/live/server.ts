import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import Fastify from 'fastify'
import sse from 'fastify-rxjs-sse'
import { defer, finalize, interval, map, share, timeInterval } from 'rxjs'

// Browsers open sockets ahead of need; without this, `app.close()` would wait for those too.
const app = Fastify({ forceCloseConnections: true })

// A browser whose stream breaks comes back after a second; after a restart, each at its own moment.
await app.register(sse, { retry: 1000, shutdown: { retry: [500, 1500] } })

// A factory makes one source for each connection, and goes on after the last event that this browser has seen.
app.get('/ticks', (_request, reply) => reply.sse(({ lastEventId }) => {
  const seen = Number(lastEventId) || 0
  return interval(1000).pipe(map((n) => ({ id: seen + n + 1, data: { hello: 'world' } })))
}, { lastEventIdQuery: 'lastEventId' }))

// This process, measured four times a second: once for all who watch, and not at all when nobody does.
const vitals = defer(() => {
  const resolution = 10
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  let used = process.cpuUsage()

  return interval(250).pipe(
    timeInterval(),
    map(({ interval: elapsed }) => {
      const { user, system } = process.cpuUsage(used)
      const { rss, heapUsed } = process.memoryUsage()
      const lag = Math.max(0, delay.max / 1e6 - resolution)
      used = process.cpuUsage()
      delay.reset()
      return {
        id: Date.now(),
        type: 'vitals',
        data: { cpu: 100 * (user + system) / (1000 * elapsed), rss, heap: heapUsed, lag, streams: app.sse.size }
      }
    }),
    finalize(() => delay.disable())
  )
}).pipe(share())

app.get('/vitals', (_request, reply) => reply.sse(vitals))

// The page, as it is: there is no build step.
const files = new URL('../../../examples/live/', import.meta.url)
for (const [path, file, type] of [
  ['/', 'page.html', 'text/html'],
  ['/page.css', 'page.css', 'text/css'],
  ['/page.js', 'page.js', 'text/javascript'],
  ['/chart.js', 'chart.js', 'text/javascript']
] as const) {
  const body = await readFile(new URL(file, files))
  app.get(path, (_request, reply) => reply.type(`${type}; charset=utf-8`).send(body))
}

// Ends every stream; then nothing keeps the process running.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => app.close())

const { PORT = '3000' } = process.env
const { port } = new URL(await app.listen({ port: Number(PORT) }))
console.log(`Two live streams at http://localhost:${port}`)
