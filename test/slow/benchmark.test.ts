import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { limitEachTest } from '../fixtures/limits.ts'
import { isMissing } from '../fixtures/tool.ts'

const script = fileURLToPath(new URL('../../../test/benchmark/run.mjs', import.meta.url))

/** How long the benchmark may take, in milliseconds. */
const LIMIT = 400_000

limitEachTest()
t.setTimeout(LIMIT + 30_000)

const hasRedis = isMissing('redis-server') === false

t.test('Should run every scene of the benchmark, with what needs no other package', { timeout: LIMIT + 10_000 }, async (t) => {
  const contestants = [
    'net', 'http', 'fastify-rxjs-sse', 'each-encodes', 'plain-path', 'json-stringify', 'response-schema', 'memory-log',
    ...hasRedis ? ['redis-log'] : []
  ]
  // Nothing of what tap has put there; Windows needs the latter for sockets.
  const { PATH, SystemRoot } = process.env
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath, [script, '--quick', '--only', contestants.join()], { env: { PATH, SystemRoot }, timeout: LIMIT })
  t.equal(stderr, '')
  const scenes = stdout.split('\n### ').slice(1)
  t.same(scenes.map((scene) => scene.split(':')[0]),
    ['Paced', 'Bursts', 'Large', 'Idle', 'Churn', 'Tokens', 'Heartbeats', 'Objects', 'Herd'])
  for (const scene of scenes) {
    const ours = { Objects: ['response schema'], Herd: ['**`MemoryEventLog`**', ...hasRedis ? ['**`RedisEventLog`**'] : []] }
    const [name = ''] = scene.split(':')
    for (const row of (ours as Partial<Record<string, string[]>>)[name] ?? ['**fastify-rxjs-sse**']) {
      t.ok(scene.split('\n').some((line) => line.startsWith(`| ${row} | `) && /^[\d.-]+ \| /.test(line.slice(row.length + 5))),
        `${name}: ${row}`)
    }
  }
})
