import t from 'tap'
import { callEach } from '../lib/isolate.ts'
import { limitEachTest } from './fixtures/limits.ts'
import { once } from './fixtures/waits.ts'

limitEachTest()

const FAILURE = new Error('mine')

t.test('Should call all, and give what one throws to that one alone', async (t) => {
  const called: string[] = []
  const failed: Array<readonly [string, unknown]> = []
  callEach(['a', 'b', 'c'], (name) => {
    called.push(name)
    if (name === 'b') throw FAILURE
  }, (name, error) => failed.push([name, error]))
  t.same(called, ['a', 'b', 'c'])
  t.same(failed, [['b', FAILURE]])
})

t.test('Should warn of what nobody takes, and go on', async (t) => {
  for (const [thrown, message] of [[FAILURE, 'mine'], ['a string', 'a string']] as const) {
    const called: number[] = []
    const warned = once(process, 'warning')
    callEach([1, 2], (n) => {
      called.push(n)
      if (n === 1) throw thrown
    })
    t.same(called, [1, 2])
    t.match(await warned, [{ message }])
  }
  const warned = once(process, 'warning')
  callEach([1], () => { throw FAILURE }, () => { throw new Error('of fail itself') })
  t.match(await warned, [{ message: 'of fail itself' }])
})
