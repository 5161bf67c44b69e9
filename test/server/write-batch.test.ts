import t from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { WriteBatch } from '../../lib/server/write-batch.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

t.test('Should flush when the microtasks have run, and those that they queued', async (t) => {
  const batch = new WriteBatch()
  const log: string[] = []
  await new Promise<void>((resolve) => {
    batch.add({
      flush () {
        log.push('flush')
        resolve()
      },
      onFlushError: () => { t.fail() }
    })
    log.push('sync')
    Promise.resolve().then(() => log.push('microtask')).then(() => log.push('queued by it')).catch(t.fail)
  })
  t.same(log, ['sync', 'microtask', 'queued by it', 'flush'])
})

t.test('Should flush once what was added once, and clean up behind it', async (t) => {
  const batch = new WriteBatch()
  const log: string[] = []
  batch.atEnd(() => log.push('clean up'))
  batch.add({ flush: () => log.push('a'), onFlushError: () => { t.fail() } })
  batch.add({ flush: () => log.push('b'), onFlushError: () => { t.fail() } })
  batch.flush()
  t.same(log, ['a', 'b', 'clean up'])
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(log, ['a', 'b', 'clean up'], 'nothing is left for the end of the turn')
})

t.test('Should join the same frames once, and others anew', async (t) => {
  const batch = new WriteBatch()
  const [a, b] = [new Frame('data: a\n\n'), new Frame('data: é\n\n')]
  const joined = batch.join([a, b])
  t.equal(Buffer.from(joined.bytes).toString(), 'data: a\n\ndata: é\n\n')
  t.equal(Buffer.from(joined.chunk).toString(), '13\r\ndata: a\n\ndata: é\n\n\r\n')
  t.equal(batch.join([a, b]), joined)
  t.not(batch.join([b, a]), joined)
  t.not(batch.join([b]), joined)
  batch.flush()
  t.not(batch.join([a, b]), joined, 'and anew in the next batch')
})
