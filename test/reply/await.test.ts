import { connect } from 'node:net'
import type { FastifyReply, FastifyServerOptions } from 'fastify'
import { NEVER, throwError } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SseSource } from '../../index.ts'
import { Probe, RawClient, buildApp, listen, portOf } from '../fixtures/app.ts'
import { LEVEL, Logs } from '../fixtures/logs.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { deferred, immediate, waitUntil, within } from '../fixtures/waits.ts'

limitEachTest()

/** A route whose handler awaits its reply, and then notes what of the stream is over. */
async function serve (t: Test, given: { source?: SseSource, options?: SseOptions, server?: FastifyServerOptions, before?: (reply: FastifyReply) => void } = {}) {
  const logs = new Logs()
  const events: string[] = []
  const probe = new Probe()
  const settled = deferred<void>()
  const app = await buildApp(t, {}, { logger: logs.logger, ...given.server })
  app.get('/', async (_request, reply) => {
    given.before?.(reply)
    try {
      await reply.sse(given.source ?? probe.source, { ...given.options, onClose: ({ reason }) => { events.push(reason) } })
    } finally {
      events.push(`settled, ${app.sse.size} open`)
      settled.resolve()
    }
  })
  await listen(app)
  const client = new RawClient(app)
  t.teardown(() => client.socket.destroy())
  return { app, client, probe, logs, events, settled: within(settled.promise, 'await reply.sse()') }
}

const controller = new AbortController()

for (const { name, given, end, expected } of [
  { name: 'completes', end: ({ probe }) => probe.complete(), expected: ['complete', 'settled, 0 open'] },
  { name: 'loses its client', end: ({ client }) => { client.socket.destroy() }, expected: ['client', 'settled, 0 open'] },
  { name: 'fails', end: ({ probe }) => probe.error(new Error('no')), expected: ['error', 'settled, 0 open'] },
  {
    name: 'is ended by a signal', given: { options: { signal: controller.signal } }, end: () => controller.abort(),
    expected: ['aborted', 'settled, 0 open']
  },
  { name: 'overflows', given: { options: { buffer: { maxBytes: 1 } } }, expected: ['overflow', 'settled, 0 open'],
    end: ({ probe, client }) => {
      client.socket.pause()
      for (let i = 0; i < 10; i++) probe.next('x'.repeat(2 ** 20))
    } },
  { name: 'is shut down', end: ({ app }) => { void app.close() }, expected: ['shutdown', 'settled, 0 open'] }
] as ReadonlyArray<{
  name: string, given?: { options: SseOptions }, expected: string[]
  end (served: Omit<Awaited<ReturnType<typeof serve>>, 'settled'>): void
}>) {
  t.test(`Should settle when the stream ${name}, and not before`, async (t) => {
    const { settled, ...served } = await serve(t, given)
    served.client.get('/')
    await served.client.until(/:\n/)
    for (let i = 0; i < 5; i++) await immediate()
    t.same(served.events, [])
    end(served)
    await settled
    t.same(served.events, expected)
    t.same(served.logs.lines.filter(({ level, err }) => level >= LEVEL.error && err?.message !== 'no'), [], 'no second answer')
  })
}

t.test('Should settle when an error is the answer', async (t) => {
  const { client, events, settled } = await serve(t, { source: throwError(() => new Error('no')) })
  client.get('/')
  await client.until(/^HTTP\/1.1 500 .*"no"/s)
  await settled
  t.same(events, ['settled, 0 open'])
})

t.test('Should settle where nothing is streamed: HEAD, and a client that has left', async (t) => {
  const { app, settled } = await serve(t, { source: NEVER })
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200)
  await settled

  const gone = await serve(t, { source: NEVER, before: (reply) => { reply.raw.destroy() } })
  connect(portOf(gone.app), '127.0.0.1').on('error', () => {}).end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await gone.settled
  t.same(gone.events, ['settled, 0 open'])
})

t.test('Should settle when the client of a pipelined request leaves before its turn', async (t) => {
  const { app, client, events } = await serve(t)
  client.get('/')
  client.get('/')
  await client.until(/:\n/)
  await waitUntil(() => app.sse.size === 2)
  client.socket.destroy()
  await waitUntil(() => events.length === 3)
  t.same(events.toSorted(), ['client', 'settled, 0 open', 'settled, 0 open'])
})

t.test('Should not be cut by handlerTimeout where the handler awaits or returns the reply', async (t) => {
  const app = await buildApp(t, { heartbeat: 20 })
  app.get('/await', { handlerTimeout: 50 }, async (_request, reply) => { await reply.sse(NEVER) })
  app.get('/return', { handlerTimeout: 50 }, async (_request, reply) => reply.sse(NEVER))
  await listen(app)
  for (const path of ['/await', '/return']) {
    const client = new RawClient(app)
    client.get(path)
    // Ten heartbeats are four times the timeout.
    await client.until(/(?::\n[^]*){10}/)
    t.match(client.text, /^HTTP\/1.1 200 /)
    client.socket.destroy()
  }
})
