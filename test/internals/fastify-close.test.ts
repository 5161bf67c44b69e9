import { listen } from '../fixtures/app.ts'
import { fact } from '../fixtures/fact.ts'
import { buildBare } from '../fixtures/payload.ts'

// What this plugin knows of how Fastify closes: addLastPreClose() and Registry.close() rely on it.

fact('Fastify takes a preClose hook within onReady, and runs it after those of the application', async (t) => {
  const app = buildBare(t)
  const order: string[] = []
  app.register(async (scope) => {
    scope.addHook('onReady', async () => {
      scope.addHook('preClose', async () => { order.push('in onReady') })
    })
    scope.addHook('preClose', async () => { order.push('later, in the scope') })
  })
  app.addHook('preClose', async () => { order.push('later') })
  await app.ready()
  await app.close()
  t.same(order, ['later', 'later, in the scope', 'in onReady'])
})

// Those that take the hook within onReady keep it in the same list, so that those that do not can be given it there.
fact('Fastify keeps the preClose hooks of an instance in the lists under fastify.hooks', async (t) => {
  const app = buildBare(t)
  app.addHook('onReady', async () => { app.addHook('preClose', doNothing) })
  await app.ready()
  const key = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.hooks')
  const lists = Reflect.get(app, key ?? '') as { preClose: unknown[], add: unknown } | undefined
  t.same(lists?.preClose, [doNothing])
  t.type(lists?.add, 'function')
})

fact('Fastify answers 503 while preClose hooks run, so that none of them may take time', async (t) => {
  const app = buildBare(t)
  let status = 0
  app.addHook('preClose', async () => { status = (await fetch(url)).status })
  app.get('/', () => 'open')
  const url = await listen(app)
  await app.close()
  t.equal(status, 503)
})

async function doNothing (): Promise<void> {}
