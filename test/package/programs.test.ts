import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { installPackedAlone } from '../fixtures/packed-package.ts'
import { IMPORTS, PRINTED, PROGRAM, REQUIRES, runFile, write } from '../fixtures/packed-program.ts'

const folder = await installPackedAlone(t)

t.test('Should run in a program that imports it', async (t) => {
  t.match(await runFile(await write(folder, 'import.mjs', IMPORTS + PROGRAM)), PRINTED)
})

t.test('Should run in a program that requires it', async (t) => {
  t.match(await runFile(await write(folder, 'require.cjs', REQUIRES + PROGRAM)), PRINTED)
})

t.test('Should export the same to import() and to require()', async (t) => {
  const path = await write(folder, 'both.cjs', `
    import('fastify-rxjs-sse').then((module) => {
      const required = require('fastify-rxjs-sse')
      console.log(Object.keys(module).toSorted().join(), module.default === required.default, module.default === module.plugin)
    })`)
  t.equal(await runFile(path), 'MemoryEventLog,default,plugin,sseTransformObject true true\n')
})

t.test('Should hold what was built and its sources, and nothing of the tests and the examples', async (t) => {
  const home = join(folder, 'node_modules/fastify-rxjs-sse')
  t.same((await readdir(home)).toSorted(),
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'index.ts', 'lib', 'package.json', 'types'])
  t.same((await readdir(join(home, 'dist'))).toSorted(), ['index.d.ts', 'index.js', 'index.js.map', 'lib', 'types'])
})
