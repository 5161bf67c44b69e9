import { BehaviorSubject, Observable, Subject, concatMap, defer, finalize, mergeMap, observable, of, switchMap } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import type { SseContext } from '../../index.ts'
import type { SourceSubscription } from '../../lib/source/sink.ts'
import { isObservable } from '../../lib/source/observable.ts'
import { subscribe } from '../../lib/source/subscribe.ts'
import { buildApp, parse } from '../fixtures/app.ts'
import { Recorder } from '../fixtures/recorder.ts'

interface AnyObserver {
  next (value: unknown): void
  error (error: unknown): void
  complete (): void
  readonly closed?: boolean
}

/** Makes an Observable of another library, whose interop method has that name. */
function interop (key: PropertyKey, start: (observer: AnyObserver) => unknown): object {
  return { [key]: () => ({ subscribe: start }) }
}

function emitOne (observer: AnyObserver): void {
  observer.next(1)
  observer.complete()
}

/** Defines `Symbol.observable` until the test ends, as a polyfill does that is loaded after RxJS. */
function defineSymbol (t: Test): symbol {
  const symbol = Symbol('observable')
  Object.defineProperty(Symbol, 'observable', { value: symbol, configurable: true })
  t.teardown(() => Reflect.deleteProperty(Symbol, 'observable'))
  return symbol
}

/** Subscribes to a source; gives the subscription and the errors that come. */
function open (source: unknown, onNext: (value: unknown, subscription: SourceSubscription) => void = () => {}) {
  const given: { subscription: SourceSubscription | null, errors: unknown[] } = { subscription: null, errors: [] }
  subscribe(source, {} as SseContext, {
    wantsMore: () => true,
    onSubscribe: (subscription) => { given.subscription = subscription },
    next: (value) => given.subscription !== null && onNext(value, given.subscription),
    error: (error) => { given.errors.push(error) },
    complete: () => {}
  })
  if (given.subscription === null) throw new Error('the source was not subscribed to')
  return { subscription: given.subscription, errors: given.errors }
}

t.test('Should know Observables of RxJS and of other libraries, whenever Symbol.observable was polyfilled', async (t) => {
  t.equal(observable, '@@observable', 'the key of an RxJS that was loaded without a polyfill')
  const symbol = defineSymbol(t)
  const app = await buildApp(t)
  const sources = { rxjs: of(1), string: interop('@@observable', emitOne), symbol: interop(symbol, emitOne) }
  for (const [name, source] of Object.entries(sources)) {
    app.get(`/${name}`, (_request, reply) => reply.sse(source as Observable<string>))
    app.get(`/plain/${name}`, () => source)
  }
  for (const [name, source] of Object.entries(sources)) {
    t.ok(isObservable(source), name)
    t.same(await new Recorder(source).ended, ['next 1', 'complete'], name)
    t.same(parse((await app.inject(`/${name}`)).payload).map(({ data }) => data), ['1'])
    t.match((await app.inject(`/plain/${name}`)).json(), { code: 'FST_SSE_NOT_A_STREAM_ROUTE' })
  }
  for (const value of [{}, { subscribe () {} }, { [symbol]: 1 }, { [Symbol.toStringTag]: 'Observable' }, () => {}]) {
    t.notOk(isObservable(value))
  }
})

t.test('Should refuse what an interop method returns that is no Observable', async (t) => {
  for (const returned of [undefined, null, 1, {}, { subscribe: 1 }]) {
    const recorder = new Recorder({ '@@observable': () => returned })
    t.same(await recorder.ended, ['error'])
    t.match(recorder.error, { code: 'FST_SSE_INVALID_SOURCE', message: /; the interop method Symbol\.observable of a source returned it/ })
  }
})

t.test('Should stream an Observable that calls its observer on an object that inherits from it, as RxJS 6 does', async (t) => {
  let unsubscribed = 0
  const observers: AnyObserver[] = []
  const source = interop('@@observable', (observer) => {
    const heir: AnyObserver = Object.create(observer)
    Object.assign(heir, { unsubscribe: () => { unsubscribed++ } })
    observers.unshift(heir)
    return heir
  })
  const completed = new Recorder(source)
  observers[0]?.next(1)
  observers[0]?.complete()
  observers[0]?.next(2)
  t.same(completed.events, ['next 1', 'complete'])

  const failed = new Recorder(source)
  observers[0]?.error(new Error('no'))
  t.same(failed.events, ['error'])

  const left = new Recorder(source)
  left.unsubscribe()
  observers[0]?.next(1)
  t.same([left.events, unsubscribed], [[], 3], 'each was unsubscribed from, or told to')
})

t.test('Should unsubscribe from an Observable of RxJS that has the tag of the platform', async (t) => {
  const hot = Object.assign(new Subject<number>(), { [Symbol.toStringTag]: 'Observable' })
  const recorder = new Recorder(hot)
  hot.next(1)
  t.same([recorder.events, hot.observed], [['next 1'], true])
  recorder.unsubscribe()
  recorder.unsubscribe()
  t.equal(hot.observed, false)

  const atOnce = Object.assign(new BehaviorSubject(1), { [Symbol.toStringTag]: 'Observable' })
  open(atOnce, (_value, subscription) => subscription.unsubscribe())
  t.equal(atOnce.observed, false, 'when its stream has ended before there was a subscription')
})

t.test('Should heed nothing that comes after the end', async (t) => {
  for (const [end, events] of [['complete', ['complete']], ['error', ['error']]] as const) {
    const recorder = new Recorder(interop('@@observable', (observer) => {
      observer[end](1)
      t.equal(observer.closed, true)
      observer.next(1)
      observer.error(1)
      observer.complete()
    }))
    t.same(recorder.events, events)
  }
})

t.test('Should let a synchronous Observable see that its stream has ended', async (t) => {
  let emitted = 0
  let unsubscribed = 0
  const source = new Observable((subscriber) => {
    while (!subscriber.closed && emitted < 1000) subscriber.next(++emitted)
    return () => { unsubscribed++ }
  })
  open(source, (value, subscription) => { if (value === 3) subscription.unsubscribe() })
  t.same([emitted, unsubscribed], [3, 1])
  // Operators have subscribers of their own, which have to end as well.
  emitted = 0
  open(source.pipe(mergeMap((value) => of(value)), finalize(() => { unsubscribed++ })), (value, subscription) => {
    if (value === 3) subscription.unsubscribe()
  })
  t.same([emitted, unsubscribed], [3, 3])
})

t.test('Should undo whatever a subscription is, and nothing that is none', async (t) => {
  let undone = 0
  const undo = () => { undone++ }
  const cases: ReadonlyArray<readonly [returned: unknown, times: number, timesWhenLate: number]> = [
    [undo, 1, 1], [{ unsubscribe: undo }, 1, 1], [{ unsubscribe: undo, closed: true }, 0, 1],
    [undefined, 0, 0], [null, 0, 0], [1, 0, 0], [{}, 0, 0]
  ]
  for (const [returned, times, timesWhenLate] of cases) {
    undone = 0
    const { subscription } = open(interop('@@observable', () => returned))
    subscription.unsubscribe()
    subscription.unsubscribe()
    t.equal(undone, times)

    undone = 0
    open(interop('@@observable', (observer) => {
      observer.next(1)
      return returned
    }), (_value, subscription) => subscription.unsubscribe())
    t.equal(undone, timesWhenLate, 'when its stream has ended before there was a subscription')
  }
})

t.test('Should unsubscribe from the inner Observables of operators, in the order of RxJS', async (t) => {
  let log: string[] = []
  const inner = (name: string, ends: boolean) => defer(() => {
    log.push(`subscribe ${name}`)
    return new Observable<string>((subscriber) => {
      subscriber.next(name)
      if (ends) subscriber.complete()
      return () => { log.push(`unsubscribe ${name}`) }
    })
  })
  const pipelines = {
    mergeMap: mergeMap((name: string) => inner(name, name === 'b')),
    switchMap: switchMap((name: string) => inner(name, name === 'b')),
    concatMap: concatMap((name: string) => inner(name, name !== 'c'))
  }
  for (const [name, operator] of Object.entries(pipelines)) {
    const run = (open: (source: Observable<string>) => { unsubscribe (): void }): string[] => {
      log = []
      const names = new Subject<string>()
      const subscription = open(names.pipe(operator, finalize(() => { log.push('finalize') })))
      for (const name of ['a', 'b', 'c', 'd']) names.next(name)
      log.push('leave')
      subscription.unsubscribe()
      log.push(`observed: ${names.observed}`)
      return log
    }
    const seen = run((source) => open(source, (value) => { log.push(`next ${String(value)}`) }).subscription)
    const expected = run((source) => source.subscribe((value) => { log.push(`next ${value}`) }))
    t.same(seen, expected, name)
  }
})

t.test('Should hold few subscriptions of inner Observables that have ended, and take out what is removed', async (t) => {
  const outer = new Subject<Subject<number>>()
  const { subscription } = open(outer.pipe(mergeMap((inner) => inner)))
  const held = () => (subscription as { moreTeardowns?: { length: number } }).moreTeardowns?.length ?? 0
  for (let i = 0; i < 1000; i++) {
    const inner = new Subject<number>()
    outer.next(inner)
    inner.complete()
  }
  t.ok(held() <= 9, `${held()} of 1000 are held`)
  subscription.unsubscribe()

  let undone = 0
  const undo = () => { undone++ }
  const { subscription: other } = open(interop('@@observable', (observer) => {
    const { add, remove } = observer as unknown as Record<'add' | 'remove', (teardown: unknown) => void>
    const others = [() => {}, () => {}]
    for (const teardown of [undo, ...others, undo]) add.call(observer, teardown)
    for (const teardown of [undo, ...others]) remove.call(observer, teardown)
    remove.call(observer, undo)
  }))
  other.unsubscribe()
  t.equal(undone, 0)
})
