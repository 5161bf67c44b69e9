import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { NEVER, concat, of } from 'rxjs'
import { buildHttp2App, openSession } from '../fixtures/http2.ts'
import { Closings } from '../fixtures/slow.ts'
import { isMissing } from '../fixtures/tool.ts'

const FOUR_MIB = 2 ** 22

/** 64 KiB/s, a tenth of a second at a time. */
const PORTION = 6554

/** Longer than nothing leaves at a time for such a client, and three times shorter than it is watched. */
const STALL_TIMEOUT = 2000
const WATCHED = 6500

const run = promisify(execFile)
const script = fileURLToPath(new URL('../fixtures/namespace.js', import.meta.url))

interface Result {
  readonly reason: string | null
  readonly received: number
  readonly isReleased: boolean
  readonly open: number
}

/** Runs the fixture where the network is its own: only there can the kernel's buffers be made small, and be cut off. */
async function runInNamespace (mode: string, stallTimeout: number, milliseconds: number): Promise<Result> {
  const { stdout } = await run('unshare', ['-rn', process.execPath, script, mode, String(stallTimeout), String(milliseconds)], { timeout: 15_000 })
  return JSON.parse(stdout) as Result
}

/** For `skip`: the reason where no network namespace can be made. */
async function cannotUnshare (): Promise<string | false> {
  if (process.platform !== 'linux') return 'network namespaces are of Linux alone'
  const missing = isMissing('unshare') || isMissing('ip')
  if (missing !== false) return missing
  try {
    await run('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up'])
    return false
  } catch {
    return 'network namespaces are not allowed here'
  }
}

t.jobs = 3

t.test('Should not drop a slow but live client that is owed one event of 4 MiB', { skip: await cannotUnshare() }, async (t) => {
  const { reason, received, open } = await runInNamespace('slow', STALL_TIMEOUT, WATCHED)
  t.same([reason, open], [null, 1])
  t.ok(received > 3 * PORTION * 10 && received < FOUR_MIB / 2, `${received} bytes`)
})

t.test('Should drop a client that was cut off', { skip: await cannotUnshare() }, async (t) => {
  const { reason, isReleased, open } = await runInNamespace('cut', 500, WATCHED)
  t.same([reason, isReleased, open], ['stalled', true, 0])
})

t.test('Should not drop a slow but live client of HTTP/2 that is owed one event of 4 MiB', async (t) => {
  const closings = new Closings()
  const app = await buildHttp2App(t, 'h2c')
  const source = concat(of('x'.repeat(FOUR_MIB)), NEVER)
  app.get('/', (_request, reply) => reply.sse(source, { stallTimeout: STALL_TIMEOUT, onClose: closings.onClose }))
  const session = await openSession(t, app)
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  let received = 0
  const reading = setInterval(() => { received += (stream.read(PORTION) as Buffer | null)?.length ?? 0 }, 100)
  t.teardown(() => clearInterval(reading))
  // It is time that must not end the stream.
  await new Promise((resolve) => setTimeout(resolve, WATCHED))
  t.same([closings.reasons, app.sse.size], [[], 1])
  t.ok(received > 3 * PORTION * 10 && received < FOUR_MIB / 2, `${received} bytes`)
})
