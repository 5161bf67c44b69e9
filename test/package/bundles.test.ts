import { join } from 'node:path'
import { build } from 'esbuild'
import type { BuildOptions } from 'esbuild'
import t from 'tap'
import { installPackedAlone } from '../fixtures/packed-package.ts'
import { IMPORTS, PRINTED, PROGRAM, REQUIRES, runFile, write } from '../fixtures/packed-program.ts'

const folder = await installPackedAlone(t)
const imports = await write(folder, 'import.mjs', IMPORTS + PROGRAM)
const requires = await write(folder, 'require.cjs', REQUIRES + PROGRAM)

/** Packages that are CommonJS want a `require` in a bundle of modules. */
const banner = { js: 'import { createRequire } from \'node:module\'; const require = createRequire(import.meta.url)' }

const bundles: Array<{ name: string, options: BuildOptions & { format: 'esm' | 'cjs' } }> = [
  { name: 'into one module', options: { format: 'esm', entryPoints: [imports], banner } },
  { name: 'into one module, minified', options: { format: 'esm', entryPoints: [imports], banner, minify: true } },
  { name: 'into a module that imports Fastify', options: { format: 'esm', entryPoints: [imports], banner, external: ['fastify'] } },
  { name: 'into CommonJS', options: { format: 'cjs', entryPoints: [imports] } },
  { name: 'into CommonJS, minified', options: { format: 'cjs', entryPoints: [imports], minify: true } },
  { name: 'into CommonJS with require()', options: { format: 'cjs', entryPoints: [requires] } }
]

for (const [i, { name, options }] of bundles.entries()) {
  t.test(`Should run when esbuild has bundled it ${name}`, async (t) => {
    const outfile = join(folder, `bundle-${i}.${options.format === 'esm' ? 'mjs' : 'cjs'}`)
    const { warnings } = await build({
      ...options, outfile, bundle: true, platform: 'node', target: 'node20', logLevel: 'silent', absWorkingDir: folder
    })
    t.same(warnings, [])
    t.match(await runFile(outfile), PRINTED)
  })
}
