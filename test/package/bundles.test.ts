import { join } from 'node:path'
import { build } from 'esbuild'
import type { BuildOptions } from 'esbuild'
import t from 'tap'
import { IMPORTS, PRINTED, REQUIRES, programOf, runProgram, unpack, write } from '../fixtures/packed.ts'

const folder = await unpack(t)
const imports = await write(folder, 'import.mjs', programOf(IMPORTS))
const requires = await write(folder, 'require.cjs', programOf(REQUIRES))

/** Packages that are CommonJS want a `require` in a bundle of modules. */
const banner = { js: 'import { createRequire } from \'node:module\'; const require = createRequire(import.meta.url)' }

const bundles: Array<{ name: string, options: BuildOptions & { format: 'esm' | 'cjs' } }> = [
  { name: 'into one module', options: { format: 'esm', entryPoints: [imports], banner } },
  { name: 'into one module, minified', options: { format: 'esm', entryPoints: [imports], banner, minify: true } },
  { name: 'into a module that imports Fastify', options: { format: 'esm', entryPoints: [imports], external: ['fastify'], banner } },
  { name: 'into CommonJS', options: { format: 'cjs', entryPoints: [imports] } },
  { name: 'into CommonJS, minified', options: { format: 'cjs', entryPoints: [imports], minify: true } },
  { name: 'with require() into CommonJS', options: { format: 'cjs', entryPoints: [requires] } }
]

for (const [i, { name, options }] of bundles.entries()) {
  t.test(`Should run when it is bundled ${name}`, async (t) => {
    const outfile = join(folder, `bundle-${i}.${options.format === 'esm' ? 'mjs' : 'cjs'}`)
    const { warnings } = await build({
      ...options, outfile, bundle: true, platform: 'node', target: 'node20', logLevel: 'silent', absWorkingDir: folder
    })
    t.same(warnings, [])
    t.match(await runProgram(outfile), PRINTED)
  })
}
