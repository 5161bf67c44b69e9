/**
 * Every test, by tap: what `npm test` runs after the build. Its arguments go to tap.
 *
 * The gate of coverage holds on Node 20 where nothing is left out: other versions take other branches. Where a tool is
 * missing, one line says what is left out; with `CI` in the environment that is an error.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { leftOut } from '../fixtures/tool.ts'

const GATED_VERSION = 20

const missing = leftOut().join(', ')
if (missing !== '' && process.env['CI']) {
  console.error(`CI is set, and these cannot be tested: ${missing}`)
  process.exit(1)
}
const isGated = missing === '' && process.versions.node.startsWith(`${GATED_VERSION}.`)

const require = createRequire(import.meta.url)
const manifest = require.resolve('tap/package.json')
const tap = join(dirname(manifest), require(manifest).bin.tap)
const flags = isGated ? [] : ['--disable-coverage']
const { status } = spawnSync(process.execPath, [tap, ...flags, ...process.argv.slice(2)], { stdio: 'inherit' })
if (missing !== '') console.log(`Without the gate of coverage, left out: ${missing}`)
process.exitCode = status ?? 1
