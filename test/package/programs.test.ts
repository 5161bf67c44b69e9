import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { IMPORTS, PRINTED, REQUIRES, programOf, runProgram, unpack, write } from '../fixtures/packed.ts'

const folder = await unpack(t)

t.test('Should run in a program that imports the packed package', async (t) => {
  t.match(await runProgram(await write(folder, 'import.mjs', programOf(IMPORTS))), PRINTED)
})

t.test('Should run in a program that requires the packed package', async (t) => {
  t.match(await runProgram(await write(folder, 'require.cjs', programOf(REQUIRES))), PRINTED)
})

t.test('Should run in a program that imports it later', async (t) => {
  const path = await write(folder, 'later.cjs', `${REQUIRES[0]}
    import('fastify-rxjs-sse').then(async (module) => {
      const app = Fastify()
      await app.register(module)
      console.log(Object.keys(module).toSorted().join(), module.default === module.plugin, app.sse.size)
    })`)
  t.equal(await runProgram(path), 'MemoryEventLog,default,plugin,sseTransformObject true 0\n')
})

t.test('Should hold what is needed, and nothing of the tests and the examples', async (t) => {
  const home = join(folder, 'node_modules/fastify-rxjs-sse')
  t.same((await readdir(home)).toSorted(),
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'index.ts', 'lib', 'package.json', 'types'])
  t.same((await readdir(join(home, 'dist'))).toSorted(), ['index.d.ts', 'index.js', 'index.js.map', 'lib', 'types'])
})
