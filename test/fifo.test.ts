import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import t from 'tap'
import { Fifo } from '../lib/fifo.ts'
import { immediate } from './fixtures/one-route.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

interface Item {
  readonly n: number
}

function itemsOf (fifo: Fifo<Item>): Array<number | undefined> {
  return Array.from({ length: fifo.length }, (_item, index) => fifo.at(index)?.n)
}

t.test('Should begin empty', async (t) => {
  const fifo = new Fifo<Item>()
  t.same([fifo.length, fifo.at(0), fifo.at(-1), fifo.shift()], [0, undefined, undefined, undefined])
  t.equal(fifo.length, 0)
})

t.test('Should do as an array does, whatever is pushed and shifted', async () => {
  const runs = fc.array(fc.record({ pushes: fc.nat(20), shifts: fc.nat(20) }), { maxLength: 40 })
  fc.assert(fc.property(runs, (runs) => {
    const fifo = new Fifo<Item>()
    const model: number[] = []
    let n = 0
    for (const { pushes, shifts } of runs) {
      for (let i = 0; i < pushes; i++, n++) {
        fifo.push({ n })
        model.push(n)
      }
      for (let i = 0; i < shifts; i++) assert.equal(fifo.shift()?.n, model.shift())
      assert.deepEqual(itemsOf(fifo), model)
      for (const index of [-1, -n - 1, fifo.length, n + 1, NaN]) assert.equal(fifo.at(index), undefined)
    }
  }))
})

t.test('Should be as quick where it is long as where it is short', async (t) => {
  const fifo = new Fifo<Item>()
  const item = { n: 0 }
  for (let i = 0; i < 50_000; i++) fifo.push(item)
  const start = performance.now()
  let passed = 0
  // To move all items behind the first, each time, takes minutes.
  for (; passed < 500_000 && performance.now() - start < 5_000; passed++) {
    fifo.push(item)
    fifo.shift()
  }
  t.equal(passed, 500_000)
  t.equal(fifo.length, 50_000)
})

t.test('Should hold no item that was shifted', async (t) => {
  const fifo = new Fifo<Item>()
  const refs: Array<WeakRef<Item>> = []
  for (let n = 0; n < 12; n++) {
    const item = { n }
    refs.push(new WeakRef(item))
    fifo.push(item)
  }
  for (let i = 0; i < 4; i++) fifo.shift()
  await immediate()
  gc()
  t.same(refs.map((ref) => ref.deref()?.n).filter((n) => n !== undefined), [4, 5, 6, 7, 8, 9, 10, 11])
  t.equal(fifo.length, 8)
})

t.test('Should take no more memory, however many items have passed', async (t) => {
  const fifo = new Fifo<Item>()
  const item = { n: 0 }
  for (let i = 0; i < 100; i++) fifo.push(item)
  gc()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 2_000_000; i++) {
    fifo.push(item)
    fifo.shift()
  }
  gc()
  const grown = process.memoryUsage().heapUsed - before
  t.ok(grown < 1_000_000, `${grown} bytes more`)
  t.equal(fifo.length, 100)
})
