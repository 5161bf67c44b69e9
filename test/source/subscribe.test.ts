import { Duplex, Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { setImmediate } from 'node:timers/promises'
import { NEVER, Observable, Subject, observable, of } from 'rxjs'
import t from 'tap'
import { checkSource } from '../../lib/source/kinds.ts'
import { Probe } from '../fixtures/app.ts'
import { INPUTS } from '../fixtures/inputs.ts'
import { Recorder, context } from '../fixtures/recorder.ts'

/** Makes a thenable, for which `await` waits as for a promise. */
function thenable (then: (resolve: (value: unknown) => void) => unknown): object {
  return { then } // oxlint-disable-line unicorn/no-thenable -- that is what it is to be
}

for (const [name, make] of Object.entries(INPUTS)) {
  t.test(`Should stream ${name}, a promise of it, and what a factory makes of it`, async (t) => {
    const sources: Readonly<Record<string, unknown>> = {
      itself: make(),
      promise: Promise.resolve(make()),
      factory: () => make(),
      'async factory': async () => make(),
      'factory of a promise': () => Promise.resolve(make())
    }
    for (const [kind, source] of Object.entries(sources)) {
      checkSource(source)
      t.same(await new Recorder(source).ended, ['next 1', 'next 2', 'complete'], kind)
    }
  })
}

t.test('Should stream what a generator function makes', async (t) => {
  t.same(await new Recorder(function * () { yield * [1, 2] }).ended, ['next 1', 'next 2', 'complete'])
  t.same(await new Recorder(async function * () { yield * [1, 2] }).ended, ['next 1', 'next 2', 'complete'])
})

t.test('Should give a factory its context', async (t) => {
  let given: unknown
  await new Recorder((context: unknown) => {
    given = context
    return of(1)
  }).ended
  t.equal(given, context)
})

t.test('Should take a promise of a value for a source of that value', async (t) => {
  for (const value of ['a string', '', 0, null, false]) {
    t.same(await new Recorder(Promise.resolve(value)).ended, [`next ${value}`, 'complete'])
    t.same(await new Recorder(async () => value).ended, [`next ${value}`, 'complete'])
  }
  const message = { data: 1 }
  const recorder = new Recorder(Promise.resolve(message))
  await recorder.ended
  t.equal(recorder.values[0], message)
})

t.test('Should take any object with a then for a promise', async (t) => {
  t.same(await new Recorder(thenable((resolve) => Promise.resolve(of(1)).then(resolve))).ended, ['next 1', 'complete'])
  t.same(await new Recorder(() => thenable((resolve) => Promise.resolve(of(1)).then(resolve))).ended, ['next 1', 'complete'])
})

t.test('Should unsubscribe from what a thenable gave, whatever its then returns', async (t) => {
  const probe = new Probe()
  const recorder = new Recorder(thenable((resolve) => { resolve(probe.source) }))
  await probe.until(({ subscribed }) => subscribed === 1)
  t.same(recorder.events, [])
  recorder.unsubscribe()
  t.equal(probe.unsubscribed, 1)
})

t.test('Should refuse what is no source, and what would be sent piece by piece', async (t) => {
  const refused: ReadonlyArray<readonly [source: unknown, message: RegExp]> = [
    [undefined, /^undefined is not a source of events; give an Observable/],
    [null, /^null is not .* or a factory of one$/], [12, /^12 is not/], [true, /^true is/], [1n, /^1n is/], [Symbol('s'), /^Symbol\(s\) is/],
    [{ data: 1 }, /^an object is not a source of events; it is one message: give an Observable of it, of\(message\)$/],
    [{}, /^an object is .*; give an Observable/], [new Date(0), /^an instance of Date is/],
    ['text', /^'text' is .*; it would be sent character by character: give an Observable of it, of\(string\)$/], ['', /character by character/],
    [Buffer.from('text'), /^an instance of Buffer .*bytes have no events in them: parse them into messages, or answer with reply\.send\(\)$/],
    [new Uint8Array(2), /bytes have no events/], [new DataView(new ArrayBuffer(2)), /bytes have no events/],
    [new ArrayBuffer(2), /bytes have no events/], [Readable.from('text', { objectMode: false }), /bytes have no events/],
    [new Duplex({ writableObjectMode: true }), /bytes have no events/]
  ]
  for (const [source, message] of refused) t.throws(() => checkSource(source), { code: 'FST_SSE_INVALID_SOURCE', statusCode: 500, message })
})

t.test('Should refuse what a factory returns that is no source', async (t) => {
  const refused: ReadonlyArray<readonly [given: unknown, message: RegExp]> = [
    [undefined, /^undefined is .*; the factory returned it; return an Observable/], [null, /^null is .* the factory returned it/],
    [12, /^12 is .* the factory returned it/], [{ a: 1 }, /the factory returned it/], [{ data: 1 }, /it is one message/], [() => of(1), /the factory returned it/],
    ['text', /character by character/], [Buffer.from('x'), /bytes have no events/], [Readable.from('x', { objectMode: false }), /bytes have no events/]
  ]
  for (const [given, message] of refused) {
    const recorder = new Recorder(() => given)
    t.match(recorder.error, { code: 'FST_SSE_INVALID_SOURCE', message })
    t.same(recorder.events, ['error'])
  }
})

t.test('Should refuse what a promise gives that is neither a source nor a value', async (t) => {
  const refused: ReadonlyArray<readonly [given: unknown, message: RegExp]> = [
    [undefined, /^undefined is .*; a promise gave it; give an Observable/], [() => of(1), /a promise gave it/],
    [Buffer.from('x'), /bytes have no events/], [new ArrayBuffer(1), /bytes have no events/], [Readable.from('x', { objectMode: false }), /bytes have no events/]
  ]
  for (const [given, message] of refused) {
    for (const source of [Promise.resolve(given), async () => given]) {
      const recorder = new Recorder(source)
      t.same(await recorder.ended, ['error'])
      t.match(recorder.error, { code: 'FST_SSE_INVALID_SOURCE', message })
    }
  }
})

t.test('Should hand every failure to the observer, and throw none', async (t) => {
  const boom = new Error('boom')
  const fail = () => { throw boom }
  const sources: Readonly<Record<string, unknown>> = {
    factory: fail,
    'async factory': async () => fail(),
    promise: Promise.reject(boom),
    subscribe: new Observable(fail),
    'promise of a subscribe': Promise.resolve(new Observable(fail)),
    'interop observable': { [observable]: fail },
    'subscribe of an interop observable': { [observable]: () => ({ subscribe: fail }) },
    'then of a promise': thenable(fail),
    'the look for a then': () => Object.defineProperty({}, 'then', { get: fail }), // oxlint-disable-line unicorn/no-thenable
    iterator: { [Symbol.iterator]: fail },
    next: { [Symbol.iterator]: () => ({ next: fail }) },
    generator: function * () { yield fail() },
    'async generator': async function * () { yield fail() },
    'async iterator': { [Symbol.asyncIterator]: fail },
    'stream of objects': new Readable({ objectMode: true, read () { this.destroy(boom) } }),
    'web stream': new ReadableStream({ start: (controller) => controller.error(boom) })
  }
  for (const [name, source] of Object.entries(sources)) {
    const recorder = new Recorder(source)
    t.same(await recorder.ended, ['error'], name)
    t.equal(recorder.error, boom, name)
    recorder.unsubscribe()
  }
  const noObservable = new Recorder({ [observable]: () => ({}) })
  t.same(await noObservable.ended, ['error'])
  t.type(noObservable.error, TypeError)
})

t.test('Should unsubscribe from what it has subscribed to, once', async (t) => {
  const probe = new Probe()
  for (const source of [probe.source, Promise.resolve(probe.source), () => probe.source, async () => probe.source]) {
    const { subscribed, unsubscribed } = probe
    const recorder = new Recorder(source)
    await probe.until((probe) => probe.subscribed === subscribed + 1)
    probe.next('a')
    recorder.unsubscribe()
    t.equal(probe.unsubscribed, unsubscribed + 1, 'in the same turn')
    recorder.unsubscribe()
    probe.next('b')
    t.equal(probe.unsubscribed, unsubscribed + 1)
    t.same(recorder.events, ['next a'])
  }
})

t.test('Should not subscribe to what a promise gives after the client has left', async (t) => {
  const probe = new Probe()
  for (const wrap of [(source: unknown) => source, (source: unknown) => () => source]) {
    const pending = new Subject<unknown>()
    const promise = new Promise((resolve) => pending.subscribe(resolve))
    const recorder = new Recorder(wrap(promise))
    recorder.unsubscribe()
    pending.next(probe.source)
    await promise
    await setImmediate()
    t.equal(probe.subscribed, 0)
    t.same(recorder.events, [])
  }
})

t.test('Should be silent about a promise that is rejected after the client has left', async (t) => {
  const recorder = new Recorder(async () => { throw new Error('nobody is there') })
  recorder.unsubscribe()
  await setImmediate()
  t.same(recorder.events, [])
})

t.test('Should unsubscribe from a promised source that ends its stream while it is being subscribed to', async (t) => {
  let unsubscribed = 0
  const recorder = new Recorder(Promise.resolve(new Observable((subscriber) => {
    subscriber.next('bad')
    return () => { unsubscribed++ }
  })), (recorder) => recorder.unsubscribe())
  await setImmediate()
  t.same(recorder.events, ['next bad'])
  t.equal(unsubscribed, 1)
})

t.test('Should hand on what the teardown of such a source throws', async (t) => {
  const recorder = new Recorder(Promise.resolve(new Observable((subscriber) => {
    subscriber.next('bad')
    return () => { throw new Error('teardown') }
  })), (recorder) => recorder.unsubscribe())
  await setImmediate()
  t.same(recorder.events, ['next bad', 'error'])
  t.match(recorder.error, { message: /teardown/ })
})

t.test('Should wait for a source that never emits', async (t) => {
  const recorder = new Recorder(NEVER)
  await setImmediate()
  t.same(recorder.events, [])
  recorder.unsubscribe()
})
