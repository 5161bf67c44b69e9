import { cpSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { of } from 'rxjs'
import sse from '../../index.ts'
import { findReplyKeys } from '../../lib/reply/fastify-internals.ts'
import { buildApp } from '../fixtures/app.ts'
import { fact } from '../fixtures/fact.ts'

const require = createRequire(import.meta.url)
const modules = realpathSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)))

/** A copy of Fastify, and its symbols, which `alter` may change. It finds what it depends on by a link. */
function copyFastify (folder: string, alter: (symbols: string) => string = (symbols) => symbols): typeof Fastify {
  for (const name of ['package.json', 'fastify.js', 'lib']) {
    cpSync(join(modules, 'fastify', name), join(folder, 'fastify', name), { recursive: true })
  }
  symlinkSync(modules, join(folder, 'node_modules'), 'junction')
  const file = join(folder, 'fastify', 'lib', 'symbols.js')
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, alter(before))
  return require(join(folder, 'fastify')) as typeof Fastify
}

fact('Should register with a copy of Fastify, whose symbols are its own', async (t) => {
  const app = copyFastify(t.testdir())()
  t.teardown(() => app.close())
  await app.register(sse)
  app.get('/', (_request, reply) => reply.sse(of('a')))
  t.match((await app.inject('/')).payload, /data: a\n\n/)
  const keys = [findReplyKeys(app), findReplyKeys(await buildApp(t))]
  t.equal(new Set(keys.flatMap((each) => Object.values(each) as symbol[])).size, 6)
})

for (const name of ['fastify.Reply', 'fastify.reply.isError', 'fastify.reply.nextErrorHandler', 'fastify.reply.trailers']) {
  fact(`Should refuse to register with a Fastify that has no ${name}`, async (t) => {
    const app = copyFastify(t.testdir(), (symbols) => symbols.replace(`Symbol('${name}')`, "Symbol('renamed')"))()
    t.teardown(() => app.close())
    await t.rejects(async () => app.register(sse), {
      code: 'FST_SSE_UNSUPPORTED_FASTIFY',
      message: `Fastify ${app.version} has no symbol "${name}"`
    })
  })
}

fact('Should say why a reply could not be asked', async (t) => {
  class Reply {
    send (): void { throw new Error('changed') }
  }
  const app = { version: '5.99.0', [Symbol('fastify.Reply')]: Reply } as unknown as FastifyInstance
  t.throws(() => findReplyKeys(app), { code: 'FST_SSE_UNSUPPORTED_FASTIFY', cause: { message: 'changed' } })
})

fact('Should name the newest Fastify that it was tried with', async (t) => {
  const app = { version: '5.99.0' } as unknown as FastifyInstance
  const { version } = Fastify()
  t.throws(() => findReplyKeys(app), { message: `Fastify 5.0.0 to ${version} has it` })
})
