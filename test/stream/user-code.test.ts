import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { SseCloseReason, SseSummary } from '../../index.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { bodyOf } from '../fixtures/one-route.ts'
import { once, waitUntil } from '../fixtures/waits.ts'

const FAILURE = new Error('the source has failed')

interface Ending {
  readonly reason: SseCloseReason
  /** Whether the client sees the end of a body. */
  readonly isClean: boolean
  end (given: { probe: Probe, client: RawClient, controller: AbortController, close: () => Promise<void> }): void
}

const ENDINGS: readonly Ending[] = [
  { reason: 'complete', isClean: true, end: ({ probe }) => probe.complete() },
  { reason: 'client', isClean: false, end: ({ client }) => { client.socket.destroy() } },
  { reason: 'error', isClean: false, end: ({ probe }) => probe.error(FAILURE) },
  { reason: 'aborted', isClean: true, end: ({ controller }) => controller.abort() },
  { reason: 'shutdown', isClean: true, end: ({ close }) => { void close() } }
]

for (const { reason, isClean, end } of ENDINGS) {
  t.test(`Should call onOpen and onClose once each, at registration and at the call: ${reason}`, async (t) => {
    const calls: string[] = []
    const summaries: SseSummary[] = []
    const controller = new AbortController()
    const app = await buildApp(t, {
      onOpen: ({ url }) => { calls.push(`plugin onOpen ${url}`) },
      onClose: (summary, { url }) => {
        calls.push(`plugin onClose ${url}`)
        summaries.push(summary)
      }
    }, { forceCloseConnections: false })
    const probe = new Probe()
    app.get('/', (_request, reply) => reply.sse(probe.source, {
      signal: controller.signal,
      onOpen: ({ url }) => { calls.push(`call onOpen ${url}`) },
      onClose: (summary, { url }) => {
        calls.push(`call onClose ${url}`)
        summaries.push(summary)
      }
    }))
    await listen(app)
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get('/')
    await client.until(/:\n\n/)
    t.same(calls, ['plugin onOpen /', 'call onOpen /'])

    for (const value of ['één', { comment: 'heard by nobody' }, { data: [1, 2], id: 2 }]) probe.next(value)
    // A message without anything in it is not sent, and does not count.
    probe.next({})
    await client.until(/id: 2\ndata: \[1,2\]\n\n/)
    end({ probe, client, controller, close: () => app.close() })
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    if (isClean) await client.until(/\r\n0\r\n\r\n$/)
    else if (!client.socket.closed) await once(client.socket, 'close')
    await waitUntil(() => app.sse.size === 0)

    t.same(calls.slice(2), ['plugin onClose /', 'call onClose /'])
    const { body, isEnded } = bodyOf(client.text)
    t.equal(isEnded, isClean)
    for (const summary of summaries) {
      t.match(summary, { reason, events: 3, bytes: body.length, duration: Number })
      t.ok(summary.duration > 0 && summary.duration < 60_000)
      t.equal(summary.error, reason === 'error' ? FAILURE : undefined)
    }
    t.equal(Buffer.from(body, 'latin1').toString(), ':\n\ndata: één\n\n: heard by nobody\n\nid: 2\ndata: [1,2]\n\n')
  })
}

t.test('Should call neither where no head has left', async (t) => {
  const calls: string[] = []
  const app = await buildApp(t, { onOpen: () => { calls.push('onOpen') }, onClose: () => { calls.push('onClose') } })
  app.get('/fails', (_request, reply) => reply.sse(() => { throw FAILURE }))
  app.get('/late', (_request, reply) => reply.sse(() => Promise.reject(FAILURE), { open: 'first-event' }))
  app.head('/', (_request, reply) => reply.sse(new Probe().source))
  for (const path of ['/fails', '/late']) t.equal((await app.inject(path)).statusCode, 500)
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200)
  t.same(calls, [])
})

t.test('Should count heartbeats as bytes, and not as events', async (t) => {
  const summaries: SseSummary[] = []
  const app = await buildApp(t, { heartbeat: 10, onClose: (summary) => { summaries.push(summary) } })
  const probe = new Probe()
  app.get('/', (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const client = new RawClient(app)
  client.get('/')
  await client.until(/(?::\n\n[^:]*){3}/)
  probe.complete()
  await client.until(/\r\n0\r\n\r\n$/)
  await waitUntil(() => app.sse.size === 0)
  const { body } = bodyOf(client.text)
  t.match(body, /^(?::\n\n){3,}$/)
  t.match(summaries, [{ reason: 'complete', events: 0, bytes: body.length }])
  client.socket.destroy()
})

t.test('Should run a lazy thenable that a callback returns, as those of Prisma and knex are', async (t) => {
  const ran: string[] = []
  class Lazy {
    readonly #name: string

    constructor (name: string) {
      this.#name = name
    }

    // oxlint-disable-next-line unicorn/no-thenable -- that it is one is the subject
    then (resolve: () => void): void {
      ran.push(this.#name)
      resolve()
    }
  }
  const app = await buildApp(t, { onOpen: () => new Lazy('onOpen') as unknown as void, onClose: () => new Lazy('onClose') as unknown as void })
  app.get('/', (_request, reply) => reply.sse(['a']))
  await app.inject('/')
  await waitUntil(() => ran.length === 2)
  t.same(ran, ['onOpen', 'onClose'])
})

t.test('Should log what a promise of another realm rejects with, and end that stream alone', async (t) => {
  const logs = new Logs()
  const app = await buildApp(t, {}, { logger: logs.logger })
  app.get('/', (_request, reply) => reply.sse(['a'], { onClose: rejectElsewhere }))
  t.equal((await app.inject('/')).statusCode, 200)
  t.match(await logs.until(({ msg }) => msg === 'onClose of an event stream threw'), { err: { message: 'of another realm' } })
})

function rejectElsewhere (): void {
  return runInNewContext('Promise.reject(new Error("of another realm"))') as undefined
}
