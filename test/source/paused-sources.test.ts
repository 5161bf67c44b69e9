import t from 'tap'
import { PausedSources } from '../../lib/source/paused-sources.ts'
import { Clock } from '../fixtures/clock.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { once } from '../fixtures/waits.ts'

limitEachTest()

t.test('Should continue sources with the next setImmediate, in the order in which they were added', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const continued: number[] = []
  for (const n of [1, 2, 3]) paused.add({ continue: () => continued.push(n) })
  t.same(continued, [])
  clock.turn()
  t.same(continued, [1, 2, 3])
  t.equal(clock.turn(), false)
})

t.test('Should continue in a later turn of the event loop a source that is added while others are continued', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const continued: string[] = []
  paused.add({
    continue () {
      continued.push('first')
      paused.add({ continue: () => continued.push('second') })
    }
  })
  clock.turn()
  t.same(continued, ['first'])
  clock.turn()
  t.same(continued, ['first', 'second'])
  t.equal(clock.turn(), false)
})

t.test('Should continue a hundred sources at most before the event loop gets to other work', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const continued: number[] = []
  for (let n = 0; n < 250; n++) {
    paused.add({
      continue () {
        continued.push(n)
        if (n === 0) paused.add({ continue: () => continued.push(250) })
      }
    })
  }
  const counts = [1, 2, 3].map(() => {
    clock.turn()
    return continued.length
  })
  t.same(counts, [100, 200, 251])
  t.same(continued, Array.from({ length: 251 }, (_item, n) => n))
  t.equal(clock.turn(), false)
})

t.test('Should warn where a source throws that does not hear of it, and continue the others', async (t) => {
  const paused = new PausedSources()
  const continued: number[] = []
  paused.add({ continue () { throw new Error('of the source') } })
  paused.add({ continue: () => continued.push(2) })
  const [warning] = await once(process, 'warning')
  t.match(warning, { message: 'of the source' })
  t.same(continued, [2])
})
