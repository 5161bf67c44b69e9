import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import t from 'tap'

/**
 * Everything again, with the responses' `write` wrapped as a tracing agent does: nothing may then go past it to the
 * socket, and all must be as it was. Left out are the tests that need no response, and those of time and memory.
 */
const LEFT_OUT = new RegExp(`^(${[
  'abort', 'benchmark', 'buffer', 'errors', 'event-id', 'example', 'frame', 'head', 'leak',
  'log-(entry|heap|iterator|memory|options|range|redis|ring)', 'openapi', 'options', 'plain-writer', 'pull-memory',
  'queue', 'resumptions', 'shared-timer', 'slow', 'source', 'stall', 'stream-id', 'turn', 'writer'
].join('|')})\\b`)

const wrapped = new URL('fixtures/wrapped-write.js', import.meta.url)
const names = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.js') && !LEFT_OUT.test(name))

t.setTimeout(600_000)
t.ok(names.length > 15, `${names.length} test files`)

for (const name of names) {
  t.test(`Should pass ${name} through the response`, { timeout: 240_000 }, async (t) => {
    const child = spawn(process.execPath, ['--import', wrapped.href, new URL(name, import.meta.url).pathname], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' }
    })
    t.teardown(() => child.kill())
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
    const [code] = await once(child, 'close')
    t.equal(code, 0, output.split('\n').filter((line) => /^\s*not ok/.test(line)).join('\n'))
  })
}
