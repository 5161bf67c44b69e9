/**
 * `npm run test:fast`: what needs no browser, no Redis and no root, and is over in some seconds. Each file is a process of
 * its own, and is shown where it fails. The whole suite is `npm test`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** Folders that are left out whole. Those below the first level, such as that of Redis, are left out too. */
const OTHER_FOLDERS = new Set(['behaviour', 'browsers', 'docs', 'examples', 'fixtures', 'package', 'scripts', 'slow', 'types'])

/** Each takes more than a second of a core, as every property test does. */
const SLOW = new Set([
  'reply/held-reply', 'route/answers', 'route/item-schema', 'route/negotiation', 'route/openapi', 'server/http2-sessions',
  'server/max-connections', 'server/shutdown', 'source/pull', 'stream/stall-detector'
].map((name) => `${name}.test.js`))

/** How long one file may take, in milliseconds. */
const LIMIT = 30_000

const root = fileURLToPath(new URL('..', import.meta.url))
const failed: string[] = []

function findFiles (): string[] {
  const all = readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory()) return [entry.name]
    return OTHER_FOLDERS.has(entry.name) ? [] : readdirSync(`${root}${entry.name}`).map((name) => `${entry.name}/${name}`)
  })
  return all.filter((file) => /(?<!\.property)\.test\.js$/.test(file) && !SLOW.has(file))
}

async function run (file: string): Promise<void> {
  const test = spawn(process.execPath, [`${root}${file}`], {
    env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT,
    killSignal: 'SIGKILL'
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
const files = findFiles()
const waiting = [...files]
await Promise.all(Array.from({ length: availableParallelism() + 1 }, work))
const seconds = ((performance.now() - start) / 1000).toFixed(1)
console.log(`${files.length - failed.length} files passed, ${failed.length} failed, in ${seconds} s`)
for (const file of failed) console.log(file)
if (failed.length > 0) process.exitCode = 1
