import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { limitEachTest } from './fixtures/limits.ts'
import { deferred, fetch, once, waitUntil, within } from './fixtures/waits.ts'

limitEachTest()

/** Runs a test file; gives its exit code and what it has printed. */
async function run (path: string): Promise<{ code: number, output: string }> {
  const file = fileURLToPath(new URL(path, import.meta.url))
  const child = execFile(process.execPath, [file], { env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' } })
  let output = ''
  child.stdout?.on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close')
  return { code, output }
}

t.test('Should fail what hangs by its name, go on with the next test, and end the process', async (t) => {
  const { code, output } = await run('fixtures/hanging.js')
  t.not(code, 0)
  for (const name of ['a promise', 'a condition', 'an event', 'a change', 'an error that is caught', 'a test of its own', 'a stream', 'a source', 'a subtest', 'parent', 'an answer']) {
    t.match(output, new RegExp(`^ *not ok \\d+ - ${name} #`, 'm'))
  }
  t.match(output, /^ *ok \d+ - the next subtest #/m)
  for (const what of [
    'waited 100 ms in vain for nothing', 'waited 100 ms in vain for () => false', 'for the event "never" of EventEmitter',
    'for the end of "a test of its own"', 'for /an event/; received: "HTTP/1.1 200 OK', 'for ({ subscribed }) => subscribed === 1',
    'for the end of "a subtest"', 'waited 2000 ms in vain for an answer from http://127.0.0.1:'
  ]) t.ok(output.includes(what), what)
})

t.test('Should give what comes in time', async (t) => {
  t.equal(await within(Promise.resolve(1), 'a promise'), 1)
  await t.rejects(within(Promise.reject(new Error('mine')), 'a promise'), { message: 'mine' })
  let asked = 0
  await waitUntil(async () => ++asked === 3)
  t.equal(asked, 3)
  const controller = new AbortController()
  controller.abort(new Error('left'))
  await t.rejects(fetch('http://127.0.0.1:1', { signal: controller.signal }), { message: 'left' })
  const { promise, resolve } = deferred<string>()
  resolve('by hand')
  t.equal(await promise, 'by hand')
})

/** The modules of this repository that one imports. */
function importsOf (url: URL): URL[] {
  return Array.from(readFileSync(url, 'utf8').matchAll(/^(?:import|export) .*from '(\.[^']+)';$/gm), ([, path]) => new URL(String(path), url))
}

function isLimited (url: URL, seen = new Set<string>()): boolean {
  if (url.pathname.endsWith('/fixtures/limits.js')) return true
  if (seen.has(url.href)) return false
  seen.add(url.href)
  return importsOf(url).some((imported) => isLimited(imported, seen))
}

t.test('Should be there in every test file that waits', async (t) => {
  const root = new URL('./', import.meta.url)
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.test.js'))
  t.ok(files.length > 50)
  const unlimited = files.filter((name) => {
    const url = new URL(name, root)
    return /\bawait /.test(readFileSync(url, 'utf8')) && !isLimited(url)
  })
  t.same(unlimited, [])
})
