/** The tarball, installed by npm into an empty folder as a user does it, with the peers that this repository has. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from '../../dist/test/fixtures/packed-package.js'
import { IMPORTS, PRINTED, PROGRAM, REQUIRES, runFile, write } from '../../dist/test/fixtures/packed-program.js'

const teardowns = []
const { folder, tarball } = await pack({ teardown: (teardown) => teardowns.push(teardown) })
try {
  const user = join(folder, 'user')
  await mkdir(user)
  const npm = (...args) => execFileSync('npm', args, { cwd: user, stdio: 'inherit', shell: process.platform === 'win32' })
  npm('init', '--yes', '--loglevel=error')
  const peers = await Promise.all(['fastify', 'rxjs', 'redis'].map(async (name) => `${name}@${await versionOf(name)}`))
  npm('install', '--no-audit', '--no-fund', '--strict-peer-deps', '--loglevel=error', tarball, ...peers)
  assert.match(await runFile(await write(user, 'import.mjs', IMPORTS + PROGRAM)), PRINTED)
  assert.match(await runFile(await write(user, 'require.cjs', REQUIRES + PROGRAM)), PRINTED)
  console.log('imported and required')
} finally {
  for (const teardown of teardowns) await teardown()
}

async function versionOf (name) {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(await readFile(manifest, 'utf8')).version
}
