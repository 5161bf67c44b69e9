import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'

/**
 * Runs so many processes of this program behind one port, and starts another in the place of one that dies. One that
 * dies before it has listened would die again: then all end.
 */
export function supervise (count: number, onListening: (port: number) => void): void {
  const ready = new Set<Worker>()
  let isAnnounced = false
  let isEnding = false

  const end = (): void => {
    isEnding = true
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end)

  cluster.on('listening', (worker, { port }) => {
    ready.add(worker)
    if (isAnnounced || ready.size < count) return
    isAnnounced = true
    onListening(port)
  })
  cluster.on('exit', (worker) => {
    if (isEnding) return
    if (ready.delete(worker)) {
      cluster.fork()
    } else {
      process.exitCode = 1
      end()
    }
  })
  // Each takes connections itself: where this one hands them out, those on their way to one that is killed hang.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  for (let i = 0; i < count; i++) cluster.fork()
}
