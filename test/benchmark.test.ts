import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const script = fileURLToPath(new URL('../../test/benchmark/run.mjs', import.meta.url))

t.test('Should run every scene of the benchmark, with what needs no other package', async (t) => {
  const contestants = ['net', 'http', 'fastify-rxjs-sse', 'each-encodes', 'plain-path']
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath, [script, '--quick', '--only', contestants.join()], { env: { PATH: process.env.PATH } })
  t.equal(stderr, '')
  const scenes = stdout.split('\n### ').slice(1)
  t.same(scenes.map((scene) => scene.split(':')[0]),
    ['Paced', 'Bursts', 'Large', 'Idle', 'Churn', 'Tokens', 'Heartbeats'])
  for (const scene of scenes) {
    t.match(scene, /\| raw `net` \| [\d.-]+ \| 1\.00 \|/)
    t.match(scene, /\| \*\*fastify-rxjs-sse\*\* \| [\d.-]+ \| [\d.-]+ \|/)
  }
})
