import Fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { interval, map, merge, of, Subject } from 'rxjs'
import type { Observable } from 'rxjs'
import sse, { plugin } from '../../index.ts'
import type {
  MessageEvent, SseCloseReason, SseContext, SseFactory, SseObservable, SseOptions, SseSource, SseSummary
} from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

/** Checks the plugin, its options and `lastEventId`. The compiler checks this file; nothing of it ever runs. */
export async function checks (): Promise<void> {
  const app = Fastify()
  await app.register(sse)
  await app.register(plugin, { heartbeat: 30_000, shutdown: { retry: [1000, 5000] }, maxConnections: 10_000 })
  await app.register(sse, { maxConnections: { limit: 10, answer: 503 } })
  expectType<Equal<typeof app.sse.size, number>>()

  // @ts-expect-error: an option that does not exist
  await app.register(sse, { heartbeats: 1 })
  // @ts-expect-error: a range has two ends
  await app.register(sse, { shutdown: { retry: [1] } })
  // @ts-expect-error: an answer that does not exist
  await app.register(sse, { maxConnections: { limit: 1, answer: 429 } })

  app.get('/', (request, reply) => {
    expectType<Equal<typeof request.lastEventId, string | undefined>>()
    return reply.sse(interval(1000).pipe(map(() => ({ data: { hello: 'world' } }))))
  })
}

/** Checks what can be a source, and what cannot. */
export function sources (reply: FastifyReply): void {
  const message: MessageEvent<{ a: number }> = { data: { a: 1 }, id: 1, type: 'tick', retry: 1000, comment: 'c' }
  reply.sse(of(message))
  reply.sse(new Subject<MessageEvent>())
  reply.sse(of('text'))
  reply.sse(of(1, true, null))
  reply.sse(of([1, 2]))
  reply.sse([message])
  reply.sse(Promise.resolve(of(message)))
  reply.sse(async function * () { yield message })
  reply.sse(() => of(message))
  reply.sse(async () => of(message))
  reply.sse(async ({ lastEventId, signal, request }) => {
    expectType<Equal<typeof lastEventId, string | undefined>>()
    expectType<Equal<typeof signal, AbortSignal>>()
    expectType<Equal<typeof request, FastifyRequest>>()
    return of(message)
  })
  expectType<Equal<SseContext['signal'], AbortSignal>>()
  expectType<Observable<MessageEvent<string>> extends SseSource<string> ? true : false>()
  expectType<((context: SseContext) => Observable<{ data: string }>) extends SseFactory<string> ? true : false>()

  reply.sse(merge(of({ data: 1 }), of({ type: 'b', data: 'b' })))
  reply.sse(async function * () {
    yield { data: 1 }
    yield { data: 'done', type: 'done' }
  })

  // @ts-expect-error: a number is no source
  reply.sse(1)
  // @ts-expect-error: an id is a string or a number
  reply.sse(of({ data: 1, id: true }))
  // @ts-expect-error: bytes are no message
  reply.sse(of(Buffer.from('a')))
  // @ts-expect-error: a factory must give a source
  reply.sse(() => {})
}

/** An Observable as the platform declares it. */
interface PlatformObservable<T> {
  subscribe (
    observer?: ((value: T) => void) | { next?: (value: T) => void, error?: (error: unknown) => void, complete?: () => void },
    options?: { signal?: AbortSignal }
  ): void
}

/** Checks Observables that are not RxJS's. */
export function observables (
  reply: FastifyReply, platform: PlatformObservable<MessageEvent<{ a: number }>>, text: PlatformObservable<string>,
  store: { subscribe (listener: () => void): () => void }
): void {
  reply.sse(platform)
  reply.sse(() => platform)
  reply.sse(Promise.resolve(platform))
  reply.sse<{ a: number }>(platform)
  reply.sse<string>(text)
  reply.sse({ [Symbol.observable]: () => of('text') })
  expectType<Observable<MessageEvent<string>> extends SseObservable<MessageEvent<string>> ? true : false>()
  expectType<Observable<MessageEvent<string>> extends SseObservable<MessageEvent<number>> ? false : true>()
  expectType<Observable<unknown> extends SseObservable<MessageEvent<number>> ? false : true>()

  // @ts-expect-error: data of another type
  reply.sse<{ b: number }>(platform)
  // @ts-expect-error: a bare value of another type
  reply.sse<number>(text)
  // @ts-expect-error: a bare value of another type, by the interop method
  reply.sse<number>({ [Symbol.observable]: () => of('text') })
  // @ts-expect-error: a method subscribe that takes no observer
  reply.sse(store)
}

/** Checks which values the options of a stream accept. */
export function options (reply: FastifyReply): void {
  const given: SseOptions = {
    heartbeat: { interval: 1000, message: { type: 'ping', data: null } },
    retry: 1000,
    open: 'first-event',
    serializer: (data: { a: number }) => String(data.a),
    buffer: { maxBytes: 1024, overflow: { latest: (message) => message } },
    stallTimeout: 1000,
    maxDuration: 3_600_000,
    encodeOnce: false,
    finite: { type: 'done', data: { ok: true } },
    lastEventIdQuery: 'lastEventId',
    onError: (error) => error instanceof Error ? { type: 'failed', data: error.message } : undefined,
    onOpen: (request) => request.log.info('open'),
    onClose ({ reason, error, duration, events, bytes, dropped }, request) {
      expectType<Equal<typeof reason, SseCloseReason>>()
      expectType<Equal<typeof error, unknown>>()
      request.log.info({ duration, events, bytes, dropped })
    },
    signal: AbortSignal.timeout(1000)
  }
  reply.sse(of(1), given)
  reply.sse(of(1), { heartbeat: false, maxDuration: false, retry: undefined })
  expectType<Equal<SseSummary['dropped'], number>>()
  reply.sse(of(1), { buffer: { overflow: { latest: ({ data }: MessageEvent<{ symbol: string }>) => data?.symbol } } })

  // @ts-expect-error: only at registration
  reply.sse(of(1), { shutdown: {} })
  // @ts-expect-error: not a moment to open at
  reply.sse(of(1), { open: 'later' })
  // @ts-expect-error: not a policy
  reply.sse(of(1), { buffer: { overflow: 'drop' } })
  // @ts-expect-error: a serializer gives a string
  reply.sse(of(1), { serializer: () => 1 })
}
