/** A user's program, compiled against the packed package by each TypeScript in each way that it has, and run. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPackedAlone, link } from '../../../dist/test/fixtures/packed-package.js'
import { PRINTED, runFile, write } from '../../../dist/test/fixtures/packed-program.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../../..')

const nodenext = { name: 'nodenext, module', file: 'module.mts', options: { module: 'nodenext' } }
// From 5.8 on: before, TypeScript lets CommonJS import no module, as Node did.
const required = { name: 'nodenext, CommonJS', file: 'required.cts', options: { module: 'nodenext' } }
const bundler = { name: 'bundler', file: 'bundled.ts', options: { module: 'esnext', moduleResolution: 'bundler' }, isRun: false }
const commonjs = { name: 'commonjs', file: 'common.ts', options: { module: 'commonjs' } }
const node10 = { ...commonjs, name: 'commonjs, node10', options: { ...commonjs.options, moduleResolution: 'node10' } }

/** The ways of each: `commonjs` resolves as node10 before 6, and as bundlers do from there on. */
const ways = {
  'typescript-5.5': [nodenext, bundler, commonjs],
  'typescript-5.9': [nodenext, required, bundler, commonjs],
  'typescript-6': [
    nodenext, required, bundler, commonjs, { ...node10, options: { ...node10.options, ignoreDeprecations: '6.0' } }
  ],
  'typescript-7': [nodenext, required, bundler, commonjs]
}

const teardowns = []
const folder = await installPackedAlone({ teardown: (teardown) => teardowns.push(teardown) })
let failed = 0
let passed = 0
try {
  await link(folder, '@types/node')
  await write(folder, 'package.json', '{}')
  const program = await readFile(join(root, 'test/package/program.ts'), 'utf8')
  for (const [compiler, all] of Object.entries(ways)) {
    for (const way of all) {
      try {
        await check(compiler, way, program)
        passed++
      } catch (error) {
        failed++
        console.error(`not ok: ${compiler}, ${way.name}: ${error.stdout || error.message}`)
      }
    }
  }
} finally {
  for (const teardown of teardowns) await teardown()
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

async function check (compiler, { file, options, isRun = true }, program) {
  await write(folder, file, program)
  await write(folder, 'tsconfig.json', JSON.stringify({
    compilerOptions: {
      target: 'es2022', strict: true, skipLibCheck: false, esModuleInterop: true, types: ['node'], outDir: compiler, ...options
    },
    files: [file]
  }))
  execFileSync(process.execPath, [join(here, 'node_modules', compiler, 'bin/tsc'), '--project', '.'], { cwd: folder, encoding: 'utf8' })
  if (isRun) assert.match(await runFile(join(folder, compiler, file.replace(/ts$/, 'js'))), PRINTED)
}
