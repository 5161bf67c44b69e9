import type { FastifyInstance, FastifyReply } from 'fastify'
import { from, interval, map, merge, of, Subject } from 'rxjs'
import type { Observable } from 'rxjs'
import type { EventLog, MessageEvent, SseEvents, SseSource, SseValue } from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

interface Tick { price: number }
interface Trade { price: number, quantity: number }
/** A type of `data` with members that are called like fields of a message. */
interface Row { id: number, type: string, data: string }

/** A message of NestJS. */
declare const nestMessage: { data: string | object, id?: string, type?: string, retry?: number }

type Market = SseEvents<{ tick: Tick, trade: Trade, note: string, message: { text: string }, reset: undefined }>

export function messages (): void {
  const message: MessageEvent<Tick> = { data: { price: 1 }, type: 'tick', id: 1, retry: 1, comment: 'a' }
  const named: MessageEvent<Tick, 'tick'> = { data: { price: 1 }, type: 'tick' }
  const nest: MessageEvent<string | object> = nestMessage
  expectType<Equal<typeof message['type'], string | null | undefined>>()
  expectType<Equal<typeof named['type'], 'tick' | null | undefined>>()
  expectType<typeof named extends typeof message ? true : false>()
  expectType<Equal<MessageEvent['data'], unknown>>()

  // @ts-expect-error: another name
  void ({ data: { price: 1 }, type: 'trade' } satisfies MessageEvent<Tick, 'tick'>)
  // @ts-expect-error: other data
  void ({ data: 1 } satisfies MessageEvent<Tick>)
  // @ts-expect-error: a field that does not exist
  void ({ data: { price: 1 }, event: 'tick' } satisfies MessageEvent<Tick>)
  void [message, nest]
}

export function events (market: Market): void {
  const all: Market[] = [
    { type: 'tick', data: { price: 1 }, id: 1, retry: 1, comment: 'a' },
    { type: 'trade', data: { price: 1, quantity: 1 } },
    { type: 'note', data: 'text' },
    { type: 'message', data: { text: 'a' } },
    { data: { text: 'a' } },
    { type: 'reset' },
    { type: 'reset', data: undefined },
    { retry: 1000 },
    { comment: 'a', id: '' },
    {}
  ]
  expectType<Market extends MessageEvent ? true : false>()

  if (market.type === 'tick') expectType<Equal<typeof market.data, Tick>>()
  if (market.type === 'trade') expectType<Equal<typeof market.data, Trade>>()
  if (market.type === 'reset') expectType<Equal<typeof market.data, undefined>>()
  if (market.type === 'message') expectType<Equal<typeof market.data, { text: string }>>()
  if (market.type === undefined) expectType<Equal<typeof market.data, { text: string } | undefined>>()

  // @ts-expect-error: a name that does not exist
  all.push({ type: 'ticks', data: { price: 1 } })
  // @ts-expect-error: data of another event
  all.push({ type: 'trade', data: { price: 1 } })
  // @ts-expect-error: no data
  all.push({ type: 'tick' })
  // @ts-expect-error: data of an event that has none
  all.push({ type: 'reset', data: 1 })
  // @ts-expect-error: no name
  all.push({ data: 'text' })
  // @ts-expect-error: a field that does not exist
  all.push({ type: 'tick', data: { price: 1 }, event: 'tick' })
  // @ts-expect-error: a value of no event
  all.push('text')
}

/** Checks that `event` for `type`, the commonest slip, does not compile. */
export function slips (reply: FastifyReply, app: FastifyInstance, log: EventLog): void {
  // @ts-expect-error: the name of an event is its type
  void ({ event: 'tick' } satisfies MessageEvent)
  // @ts-expect-error: the name of an event is its type
  reply.sse(of({ event: 'tick', data: 1 }))
  // @ts-expect-error: the name of an event is its type
  reply.sse<Tick>(of({ event: 'tick', data: { price: 1 } }))
  // @ts-expect-error: the name of an event is its type
  reply.sse(merge(of({ data: 1 }), interval(1).pipe(map((data) => ({ event: 'tick', data })))))
  // @ts-expect-error: the name of an event is its type
  reply.sse([{ event: 'tick', data: 1 }])
  // @ts-expect-error: the name of an event is its type
  reply.sse(async function * () { yield { event: 'tick', data: 1 } })
  // @ts-expect-error: the name of an event is its type
  reply.sse(async () => of({ event: 'tick', data: 1 }))
  // @ts-expect-error: the name of an event is its type
  reply.sse(of(1), { heartbeat: { interval: 1000, message: { event: 'ping', data: null } } })
  // @ts-expect-error: the name of an event is its type
  reply.sse(of(1), { onError: () => ({ event: 'failed', data: null }) })
  // @ts-expect-error: the name of an event is its type
  app.get<{ Reply: SseSource<Tick> }>('/', { sse: true }, () => of({ event: 'tick', data: { price: 1 } }))
  // @ts-expect-error: the name of an event is its type
  void log.append({ event: 'tick', data: 1 })

  reply.sse(of({ data: { event: 'tick' } }))
  reply.sse<{ event: string }>(of({ type: 'tick', data: { event: 'tick' } }))
  reply.sse<Message>(of({ data: 1, id: 1, type: 'tick', retry: 1, comment: 'a' }))
  expectType<Equal<SseValue<Message>, Message>>()
}

/** A type of messages that a user has declared, without a member `event`. */
interface Message { data: number, id: number, type: string, retry: number, comment: string }

/** Checks `reply.sse<T>()`, where `T` is the type of `data`. */
export function data (reply: FastifyReply, ticks: Observable<Tick>, rows: Observable<Row>): void {
  reply.sse<Tick>(ticks.pipe(map((tick) => ({ data: tick, type: 'tick', id: 1 }))))
  reply.sse<Tick>(merge(ticks.pipe(map((data) => ({ data }))), of({ retry: 1 }, { comment: 'a' })))
  reply.sse<Tick>(async function * ({ signal }) { if (!signal.aborted) yield { data: { price: 1 } } })
  reply.sse<Tick>(async () => [{ data: { price: 1 } }])
  reply.sse<Tick>(Promise.resolve(new Subject<MessageEvent<Trade>>()))
  reply.sse<Row>(rows.pipe(map((row) => ({ data: row, id: row.id }))))
  reply.sse<Tick | string>(merge(ticks.pipe(map((data) => ({ data }))), of('text'), of({ data: 'text' })))
  reply.sse<string>(of('text'))
  reply.sse<number | null>(of(1, null))
  reply.sse<number[]>(of([1]))

  // @ts-expect-error: data of another type
  reply.sse<Trade>(ticks.pipe(map((tick) => ({ data: tick }))))
  // @ts-expect-error: the data itself is no message
  reply.sse<Tick>(ticks)
  // @ts-expect-error: the data itself is no message, whatever its fields are called
  reply.sse<Row>(rows)
  // @ts-expect-error: a bare value of another type
  reply.sse<Tick>(of('text'))
  // @ts-expect-error: a bare value of another type
  reply.sse<string>(of(1))
  // @ts-expect-error: an array of another type
  reply.sse<number[]>(of(['a']))
  // @ts-expect-error: what a factory gives is held against the type
  reply.sse<Tick>(() => of({ data: 'text' }))
  // @ts-expect-error: what a generator yields is held against the type
  reply.sse<Tick>(async function * () { yield { data: 'text' } })
  // @ts-expect-error: what a promise resolves to is held against the type
  reply.sse<Tick>(Promise.resolve(of({ data: 'text' })))
}

/** Checks `reply.sse<T>()`, where `T` is the type of the messages. */
export function named (reply: FastifyReply, ticks: Observable<Tick>, trades: Observable<Trade>): void {
  reply.sse<Market>(ticks.pipe(map((tick) => ({ type: 'tick', data: tick }))))
  reply.sse<Market>(merge(
    ticks.pipe(map((tick) => ({ type: 'tick' as const, data: tick }))),
    trades.pipe(map((trade) => ({ type: 'trade' as const, data: trade }))),
    of({ data: { text: 'a' } }),
    interval(1).pipe(map((): Market => ({ comment: 'still here' })))
  ))
  reply.sse<Market>(async function * () {
    yield { type: 'tick', data: { price: 1 } }
    yield { type: 'reset' }
  })
  reply.sse<Market>(() => from([{ type: 'note', data: 'text' } as const]))
  reply.sse<MessageEvent<Tick, 'tick'>>(of({ type: 'tick', data: { price: 1 } }))
  const subject = new Subject<Market>()
  reply.sse<Market>(subject)
  reply.sse(subject)
  expectType<Equal<SseValue<Market>, Market>>()
  expectType<typeof subject extends SseSource<Market> ? true : false>()
  expectType<typeof subject extends SseSource ? true : false>()

  // @ts-expect-error: a name that does not exist
  reply.sse<Market>(of({ type: 'ticks', data: { price: 1 } }))
  // @ts-expect-error: data of another event
  reply.sse<Market>(trades.pipe(map((trade) => ({ type: 'note', data: trade }))))
  // @ts-expect-error: data without the name of its event
  reply.sse<Market>(ticks.pipe(map((tick) => ({ data: tick }))))
  // @ts-expect-error: bare values have no name
  reply.sse<Market>(of('text'))
  // @ts-expect-error: an event of another name
  reply.sse<MessageEvent<Tick, 'tick'>>(of({ type: 'trade', data: { price: 1 } }))
  // @ts-expect-error: what a generator yields is held against the type
  reply.sse<Market>(async function * () { yield { type: 'tick', data: 'text' } })
}
