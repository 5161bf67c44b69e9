import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { limitEachTest } from '../fixtures/limits.ts'
import { once } from '../fixtures/waits.ts'

/**
 * Everything again, with the responses' `write` wrapped as a tracing agent does: nothing may then go past it to the
 * socket, and all must be as it was. Left out are the tests that need no response, and those of time and memory.
 */
const FOLDERS = ['behaviour', 'browsers', 'event-log', 'reply', 'route', 'server', 'source', 'stream']
const LEFT_OUT = new RegExp(`/(?:${[
  'bounded-queue', 'entry', 'frame-queue', 'item-schema', 'iterator', 'memory', 'openapi', 'options', 'paused-sources',
  'range', 'ring', 'shared-timers', 'stall-detector', 'subscribe', 'write-batch', 'writer', 'writer-socket'
].join('|')})(?:\\.property)?\\.test\\.js$`)

const root = new URL('../', import.meta.url)
const wrapped = new URL('fixtures/wrapped-write.js', root)
const names = FOLDERS.flatMap((folder) => readdirSync(new URL(folder, root)).map((name) => `${folder}/${name}`))
  .filter((name) => name.endsWith('.test.js') && !LEFT_OUT.test(name))

/** How long one file may take, in milliseconds. */
const LIMIT = 240_000

limitEachTest()
t.setTimeout(600_000)
t.ok(names.length > 15, `${names.length} test files`)

for (const name of names) {
  t.test(`Should pass ${name} through the response`, { timeout: LIMIT + 10_000 }, async (t) => {
    const child = spawn(process.execPath, ['--import', wrapped.href, fileURLToPath(new URL(name, root))], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' }
    })
    t.teardown(() => child.kill())
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
    const [code] = await once(child, 'close', LIMIT)
    t.equal(code, 0, output.split('\n').filter((line) => /^\s*not ok/.test(line)).join('\n'))
  })
}
