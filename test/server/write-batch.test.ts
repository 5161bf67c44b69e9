import t from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { WriteBatch } from '../../lib/server/write-batch.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

t.test('Should flush when the microtasks have run, and those that they queued', async (t) => {
  const turn = new WriteBatch()
  const order: string[] = []
  await new Promise<void>((resolve) => {
    turn.add({
      flush () {
        order.push('flush')
        resolve()
      }
    })
    order.push('sync')
    Promise.resolve().then(() => order.push('microtask')).then(() => order.push('queued by it')).catch(t.fail)
  })
  t.same(order, ['sync', 'microtask', 'queued by it', 'flush'])
})

t.test('Should flush once what was added once, and clean up behind it', async (t) => {
  const turn = new WriteBatch()
  const order: string[] = []
  turn.atEnd(() => order.push('clean up'))
  turn.add({ flush: () => order.push('a') })
  turn.add({ flush: () => order.push('b') })
  turn.flush()
  t.same(order, ['a', 'b', 'clean up'])
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(order, ['a', 'b', 'clean up'], 'the turn\'s own end finds nothing left')
})

t.test('Should join the same frames once, and others anew', async (t) => {
  const turn = new WriteBatch()
  const [a, b] = [new Frame('data: a\n\n'), new Frame('data: é\n\n')]
  const joined = turn.join([a, b])
  t.equal(Buffer.from(joined.bytes).toString(), 'data: a\n\ndata: é\n\n')
  t.equal(Buffer.from(joined.chunk).toString(), '13\r\ndata: a\n\ndata: é\n\n\r\n')
  t.equal(turn.join([a, b]), joined)
  t.not(turn.join([b, a]), joined)
  t.not(turn.join([b]), joined)
  turn.flush()
  t.not(turn.join([a, b]), joined, 'and anew in the next turn')
})
