/**
 * `npm run test:fast`: what needs no browser, no Redis and no root, and is over in some seconds. Each file is a process of
 * its own, and is shown where it fails. The whole suite is `npm test`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const FOLDERS = ['.', 'event-log', 'reply', 'route', 'server', 'source', 'stream', 'wire']

/** Each takes a second of a core or more, as does every property test. */
const SLOW = /\.property\.test\.js$|^(route\/(item-schema|openapi)|server\/(max-connections|shutdown)|source\/pull|stream\/stall-detector)\.test\.js$/

/** How long one file may take, in milliseconds. */
const LIMIT = 20_000

const root = fileURLToPath(new URL('..', import.meta.url))
const files = FOLDERS.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.test.js') && !SLOW.test(file))
const failed: string[] = []

async function run (file: string): Promise<void> {
  const test = spawn(process.execPath, [join(root, file)], {
    env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' }, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT, killSignal: 'SIGKILL'
  })
  const [output, errors, [code, signal]] = await Promise.all([text(test.stdout), text(test.stderr), once(test, 'close')])
  if (code === 0) return
  failed.push(file)
  console.error(`${output}${errors}\n${file} ${signal === null ? 'failed' : `was ended after ${LIMIT} ms`}\n`)
}

async function work (): Promise<void> {
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) await run(file)
}

const start = performance.now()
const waiting = [...files]
await Promise.all(Array.from({ length: availableParallelism() + 1 }, work))
const seconds = ((performance.now() - start) / 1000).toFixed(1)
console.log(`${files.length - failed.length} files passed, ${failed.length} failed, in ${seconds} s`)
if (failed.length > 0) {
  console.log(failed.join('\n'))
  process.exitCode = 1
}
