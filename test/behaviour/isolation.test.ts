import { AsyncResource } from 'node:async_hooks'
import { Transform } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { onAbort } from '../../lib/abort.ts'
import { Registry } from '../../lib/server/registry.ts'
import type { RegisteredStream } from '../../lib/server/registry.ts'
import { SharedTimers } from '../../lib/server/shared-timers.ts'
import { WriteBatch } from '../../lib/server/write-batch.ts'
import { PausedSources } from '../../lib/source/paused-sources.ts'
import { Probe, RawClient, buildApp, listen } from '../fixtures/app.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { Logs } from '../fixtures/logs.ts'
import { immediate, once, waitUntil, within } from '../fixtures/waits.ts'

limitEachTest()

const FAILURE = new Error('a member has thrown')

/** Calls a loop with three members, of which the second throws; gives who was called and who heard of the error. */
interface Loop {
  readonly name: string
  run (called: (n: number) => void, failed: (n: number, error: unknown) => void): Promise<void> | void
}

const MEMBERS = [1, 2, 3]

function callThrowing (called: (n: number) => void, n: number): void {
  called(n)
  if (n === 2) throw FAILURE
}

function streamOf (n: number, called: (n: number) => void, failed: (n: number, error: unknown) => void): RegisteredStream {
  const call = (): void => callThrowing(called, n)
  return {
    lastBeat: 0, expiresAt: 0, beat: call, checkStall: call, expire: call, shutdown: call, destroyUnlessPipelined: call,
    crash: (error) => failed(n, error)
  }
}

const LOOPS: readonly Loop[] = [{
  name: 'the end of a batch',
  run (called, failed) {
    const batch = new WriteBatch()
    for (const n of MEMBERS) batch.add({ flush: () => callThrowing(called, n), onFlushError: (error) => failed(n, error) })
    batch.flush()
  }
}, {
  name: 'a shared timer',
  async run (called, failed) {
    const timers = new SharedTimers<number>(
      (_n, interval, last) => last + interval, { call: (n) => callThrowing(called, n), fail: failed }, 1, new AsyncResource('test'))
    for (const n of MEMBERS) timers.add(n, 10)
    await waitUntil(() => timersHaveFired)
    for (const n of MEMBERS) timers.delete(n, 10)
  }
}, {
  name: 'paused sources',
  async run (called, failed) {
    const paused = new PausedSources()
    for (const n of MEMBERS) paused.add({ continue: () => callThrowing(called, n), crash: (error) => failed(n, error) })
    await immediate()
    await immediate()
  }
}, {
  name: 'the close of a server',
  run (called, failed) {
    const registry = new Registry({ shutdownRetry: null, maxConnections: null })
    for (const n of MEMBERS) registry.add(streamOf(n, called, failed))
    registry.close()
  }
}]

let timersHaveFired = false

for (const { name, run } of LOOPS) {
  t.test(`Should go on after a member that throws: ${name}`, async (t) => {
    const called: number[] = []
    const failed: Array<readonly [number, unknown]> = []
    timersHaveFired = false
    await run((n) => {
      called.push(n)
      timersHaveFired = n === 3
    }, (n, error) => failed.push([n, error]))
    t.same(called.slice(0, 3), MEMBERS)
    t.same(failed[0], [2, FAILURE])
  })
}

t.test('Should go on after a member that throws, and warn: one signal, the end of a batch', async (t) => {
  const called: number[] = []
  const controller = new AbortController()
  for (const n of MEMBERS) onAbort(controller.signal, () => callThrowing((one) => called.push(one), n))
  const warned = once(process, 'warning')
  controller.abort()
  t.same(called, MEMBERS)
  t.match(await warned, [{ message: FAILURE.message }])

  called.length = 0
  const batch = new WriteBatch()
  for (const n of MEMBERS) batch.atEnd(() => callThrowing((one) => called.push(one), n))
  const warnedAgain = once(process, 'warning')
  batch.flush()
  t.same(called, MEMBERS)
  t.match(await warnedAgain, [{ message: FAILURE.message }])
})

t.test('Should wake all readers of a log, though the code of one throws', async (t) => {
  const log = new MemoryEventLog<number>()
  const got: number[] = []
  const throwing = log.after(undefined, { filter: () => { throw FAILURE } })[Symbol.asyncIterator]()
  const next = throwing.next()
  const reader = log.after()[Symbol.asyncIterator]()
  const event = reader.next()
  await log.append({ data: 1 })
  await t.rejects(within(next, 'the reader that throws'), FAILURE)
  const { value } = await within(event, 'the other reader')
  got.push(value.data)
  t.same(got, [1])
})

/** Two streams of one source; between one of them and its response a hook has put a stream that `break` makes throw. */
async function serveTwo (t: Test, how: 'write' | 'flush' | 'end') {
  const logs = new Logs()
  const reasons: string[] = []
  const app = await buildApp(t, { heartbeat: 30, onClose: ({ reason }, { url }) => { reasons.push(`${url} ${reason}`) } }, { logger: logs.logger })
  const probe = new Probe()
  const state = { isBroken: false }
  app.get('/good', (_request, reply) => reply.sse(probe.source))
  app.get('/bad', {
    onSend: async (_request, _reply, payload) => {
      const between = new Transform({ transform: (chunk, _encoding, done) => done(null, chunk) })
      const method = between[how as 'write'] as ((...args: unknown[]) => boolean) | undefined
      Object.assign(between, {
        [how]: (...args: unknown[]) => {
          if (state.isBroken) throw FAILURE
          return method === undefined ? true : Reflect.apply(method, between, args)
        }
      })
      ;(payload as NodeJS.ReadableStream).pipe(between)
      return between
    }
  }, (_request, reply) => reply.sse(probe.source))
  await listen(app)
  const clients = ['/bad', '/good', '/bad', '/good'].map((path) => {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get(path)
    return client
  })
  await Promise.all(clients.map((client) => client.until(/:\n/)))
  await probe.until(({ subscribed }) => subscribed === 4)
  return { app, probe, clients, logs, reasons, state }
}

for (const how of ['write', 'flush', 'end'] as const) {
  t.test(`Should end one stream alone whose destination throws: ${how}()`, async (t) => {
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): void => { uncaught.push(error) }
    process.on('uncaughtException', onUncaught)
    t.teardown(() => process.removeListener('uncaughtException', onUncaught))
    const { app, probe, clients, reasons, state } = await serveTwo(t, how)
    const [bad, good] = clients as [RawClient, RawClient]
    state.isBroken = true
    if (how === 'end') probe.complete()
    else probe.next('one')
    if (!bad.socket.closed) await once(bad.socket, 'close')
    if (how === 'end') {
      await good.until(/\r\n0\r\n\r\n$/)
    } else {
      await good.until(/data: one\n\n/)
      await waitUntil(() => app.sse.size === 2)
      // The next events and heartbeats.
      probe.next('two')
      await Promise.all(clients.filter((_client, i) => i % 2 === 1).map((client) => client.until(/data: two\n\n[^]*:\n[^]*:\n/)))
    }
    const start = performance.now()
    await within(app.close(), 'app.close()')
    t.ok(performance.now() - start < 1_000)
    t.equal(app.sse.size, 0)
    t.equal(probe.unsubscribed, 4)
    t.same(reasons.filter((reason) => reason === '/bad error').length, 2)
    t.same(uncaught, [])
  })
}
