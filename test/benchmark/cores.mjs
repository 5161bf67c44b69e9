import { execFileSync } from 'node:child_process'

/** Two cores that this process may use, for the server and its clients; `null` where processes cannot be pinned. */
export function pickCores () {
  try {
    const affinity = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8', stdio: 'pipe' })
    const [server, client] = affinity.split(':').at(-1).trim().split(',').flatMap(expandRange)
    return client === undefined ? null : { server, client }
  } catch {
    return null
  }
}

function expandRange (range) {
  const [first, last = first] = range.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
