import { constants } from 'node:zlib'
import compress from '@fastify/compress'
import type { FastifyCompressOptions } from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { concat, of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import sse from '../../index.ts'
import { Probe, closeAtEnd, eventsOf, listen } from '../fixtures/app.ts'
import { Logs } from '../fixtures/logs.ts'
import { fetch } from '../fixtures/waits.ts'

declare module 'fastify' {
  interface Session {
    visits?: number
  }
}

interface Options {
  /** Where the plugin is registered among the others. */
  readonly isFirst: boolean
  readonly compress?: FastifyCompressOptions
}

async function buildFull (t: Test, options: Options, logs = new Logs()): Promise<{ app: FastifyInstance, probe: Probe, url: string }> {
  const app = Fastify({ forceCloseConnections: true, logger: logs.logger })
  closeAtEnd(t, app)
  if (options.isFirst) await app.register(sse)
  await app.register(cookie)
  await app.register(session, { secret: 'a secret of at least thirty-two characters', cookie: { secure: false } })
  await app.register(cors, { origin: 'https://example.com', credentials: true, exposedHeaders: ['x-exposed'] })
  await app.register(helmet)
  await app.register(rateLimit, { max: 3, timeWindow: 60_000 })
  await app.register(compress, { global: true, threshold: 0, ...options.compress })
  if (!options.isFirst) await app.register(sse)
  const probe = new Probe()
  app.get('/', (request, reply) => {
    request.session.visits = (request.session.visits ?? 0) + 1
    reply.setCookie('mine', 'value')
    return reply.sse(concat(of(`visit ${request.session.visits}`), probe.source))
  })
  return { app, probe, url: await listen(app) }
}

const FLUSHING: FastifyCompressOptions = {
  customTypes: /event-stream/,
  zlibOptions: { flush: constants.Z_SYNC_FLUSH },
  brotliOptions: { flush: constants.BROTLI_OPERATION_FLUSH }
}

for (const isFirst of [true, false]) {
  t.test(`Should keep the headers of cookies, sessions, CORS, helmet and rate limits, registered ${isFirst ? 'before' : 'after'} them`, async (t) => {
    const logs = new Logs()
    const { app, probe, url } = await buildFull(t, { isFirst }, logs)
    const headers = { origin: 'https://example.com', 'accept-encoding': 'gzip, br' }
    const response = await fetch(url, { headers })
    t.equal(response.status, 200)
    t.match(Object.fromEntries(response.headers), {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'access-control-allow-origin': 'https://example.com',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'x-exposed',
      'content-security-policy': /default-src/,
      'x-content-type-options': 'nosniff',
      'x-ratelimit-limit': '3',
      'x-ratelimit-remaining': '2'
    })
    const cookies = response.headers.getSetCookie()
    t.equal(cookies.length, 2)
    t.ok(cookies.some((cookie) => cookie.startsWith('mine=value')), String(cookies))
    const sessionCookie = cookies.find((cookie) => cookie.startsWith('sessionId='))?.split(';')[0] ?? 'none'

    const events = eventsOf(response)
    t.match(await events.next(), { value: { data: 'visit 1' } })
    const again = eventsOf(await fetch(url, { headers: { ...headers, cookie: sessionCookie } }))
    t.match(await again.next(), { value: { data: 'visit 2' } }, 'the session is stored while the first stream is open')

    await (await fetch(url, { headers })).body?.cancel()
    const refused = await fetch(url, { headers })
    t.equal(refused.status, 429)
    await refused.body?.cancel()

    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    probe.complete()
    t.match(await events.next(), { done: true })
    t.match(await again.next(), { done: true })
    t.equal(app.sse.size, 0)
    t.same(logs.alarms, [])
    t.notOk(logs.lines.some(({ msg }) => /premature/i.test(msg)))
  })

  t.test(`Should send each event at once and uncompressed past a global compressor, registered ${isFirst ? 'before' : 'after'} it`, async (t) => {
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, deflate, br, zstd', '*']) {
      const { probe, url } = await buildFull(t, { isFirst })
      const response = await fetch(url, { headers: { 'accept-encoding': encoding } })
      t.equal(response.headers.get('content-encoding'), null, encoding)
      const events = eventsOf(response)
      t.match(await events.next(), { value: { data: 'visit 1' } })
      for (const data of ['a', 'b', 'x'.repeat(1e5)]) {
        probe.next(data)
        t.match(await events.next(), { value: { data } })
      }
      probe.complete()
      t.match(await events.next(), { done: true })
    }
  })
}

// It has no flush() of its own: zlib must be told.
t.test('Should send each event at once through a compressor that is told to compress event streams', async (t) => {
  for (const encoding of ['gzip', 'br', 'deflate']) {
    const logs = new Logs()
    const { app, probe, url } = await buildFull(t, { isFirst: true, compress: FLUSHING }, logs)
    const response = await fetch(url, { headers: { 'accept-encoding': encoding } })
    t.equal(response.headers.get('content-encoding'), encoding)
    const events = eventsOf(response)
    t.match(await events.next(), { value: { data: 'visit 1' } })
    for (const data of ['a', 'b']) {
      probe.next(data)
      t.match(await events.next(), { value: { data } })
    }
    probe.complete()
    t.match(await events.next(), { done: true })
    t.equal(app.sse.size, 0)
    t.same(logs.alarms, [])
  }
})
