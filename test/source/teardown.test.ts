import t from 'tap'
import { TeardownList } from '../../lib/source/teardown.ts'

/** A subscription, by what RxJS's can do. */
class Subscription {
  closed = false
  unsubscribe (): void {
    this.closed = true
  }
}

t.test('Should run every teardown, in order, once the first has run', async (t) => {
  const ran: string[] = []
  const teardowns = new TeardownList()
  teardowns.add(() => ran.push('b'))
  teardowns.add({ unsubscribe: () => ran.push('c') })
  teardowns.run(() => ran.push('a'))
  t.same(ran, ['a', 'b', 'c'])
})

/** Runs three teardowns, of which some throw; gives which ran, and what was thrown. */
function runFailing (...failing: string[]): { ran: string[], error: unknown } {
  const ran: string[] = []
  const teardowns = new TeardownList()
  for (const name of ['a', 'b', 'c']) {
    teardowns.add(() => {
      ran.push(name)
      if (failing.includes(name)) throw new Error(name)
    })
  }
  try {
    teardowns.run(null)
  } catch (error) {
    return { ran, error }
  }
  return { ran, error: undefined }
}

t.test('Should throw on what a teardown throws, when all have run', async (t) => {
  const ran = ['a', 'b', 'c']
  t.same(runFailing(), { ran, error: undefined })
  t.match(runFailing('b'), { ran, error: { message: 'b' } })
  t.match(runFailing('a', 'c'), { ran, error: { name: 'AggregateError', errors: [{ message: 'a' }, { message: 'c' }] } })
})

t.test('Should hold one subscription where each ends before the next comes', async (t) => {
  const teardowns = new TeardownList()
  for (let i = 0; i < 100; i++) {
    const subscription = new Subscription()
    teardowns.add(subscription)
    subscription.unsubscribe()
  }
  t.equal(teardowns.length, 1)
})

t.test('Should drop subscriptions that have ended, though others stay open', async (t) => {
  const teardowns = new TeardownList()
  const open: Subscription[] = []
  for (let i = 0; i < 1000; i++) {
    const subscription = new Subscription()
    teardowns.add(subscription)
    open.push(subscription)
    if (i % 4 !== 0) open.shift()?.unsubscribe()
    if (teardowns.length > 2 * open.length + 9) t.fail(`${teardowns.length} for ${open.length} that are open`)
  }
  teardowns.run(null)
  t.ok(open.every(({ closed }) => closed))
})

t.test('Should drop subscriptions that have ended when they were many, and now come one by one', async (t) => {
  const teardowns = new TeardownList()
  const subscriptions = Array.from({ length: 1000 }, () => new Subscription())
  for (const subscription of subscriptions) teardowns.add(subscription)
  for (const subscription of subscriptions) subscription.unsubscribe()
  for (let i = 0; i < 1000; i++) {
    const subscription = new Subscription()
    teardowns.add(subscription)
    subscription.unsubscribe()
  }
  t.ok(teardowns.length < 10, `${teardowns.length} are held`)
})

t.test('Should not run what was taken out', async (t) => {
  const teardowns = new TeardownList()
  const ran: string[] = []
  const [a, b] = [() => { ran.push('a') }, () => { ran.push('b') }]
  teardowns.add(a)
  teardowns.add(b)
  teardowns.remove(a)
  teardowns.run(null)
  t.same(ran, ['b'])
})
