import t from 'tap'
import { PausedSources } from '../../lib/source/paused-sources.ts'
import { Clock } from '../fixtures/clock.ts'

t.test('Should resume those that were added in the next turn, in the order in which they came', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const resumed: number[] = []
  for (const n of [1, 2, 3]) paused.add({ continue: () => resumed.push(n) })
  t.same(resumed, [])
  clock.turn()
  t.same(resumed, [1, 2, 3])
  t.equal(clock.turn(), false)
})

t.test('Should resume in a later turn those that come while others are resumed', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const resumed: string[] = []
  paused.add({
    continue () {
      resumed.push('first')
      paused.add({ continue: () => resumed.push('second') })
    }
  })
  clock.turn()
  t.same(resumed, ['first'])
  clock.turn()
  t.same(resumed, ['first', 'second'])
  t.equal(clock.turn(), false)
})

t.test('Should resume a hundred in one turn, and leave the event loop to others before the next', async (t) => {
  const clock = new Clock(t)
  const paused = new PausedSources()
  const resumed: number[] = []
  for (let n = 0; n < 250; n++) {
    paused.add({
      continue () {
        resumed.push(n)
        if (n === 0) paused.add({ continue: () => resumed.push(250) })
      }
    })
  }
  const counts = [1, 2, 3].map(() => {
    clock.turn()
    return resumed.length
  })
  t.same(counts, [100, 200, 251])
  t.same(resumed, Array.from({ length: 251 }, (_item, n) => n))
  t.equal(clock.turn(), false)
})
