import * as fc from 'fast-check'
import t from 'tap'
import { BEFORE_ALL, compareStreamIds, isStreamId } from '../../../lib/event-log/redis/entry-id.ts'

const MAX = '18446744073709551615'

t.test('Should know the ids of a Redis stream', async (t) => {
  for (const id of ['0-0', '0-1', '1526919030474-55', '1-0', `${MAX}-${MAX}`]) t.equal(isStreamId(id), true, id)
})

t.test('Should know what is none', async (t) => {
  const ids = [
    '', '-', '1', '1-', '-1', '1-2-3', '01-0', '1-00', '+1-0', '1 -0', ' 1-0', '1-0 ', '1-0\n', '1e3-0', '١-0', '$', '*', '(1-0',
    '+', "'; DROP", '\0', '18446744073709551616-0', '0-18446744073709551616', '123456789012345678901-0', '9'.repeat(2 ** 20)
  ]
  for (const id of ids) t.equal(isStreamId(id), false, id.slice(0, 30))
})

t.test('Should put ids in the order of their numbers', async (t) => {
  const part = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const near = fc.bigInt({ min: 0n, max: 120n })
  const id = fc.tuple(fc.oneof(part, near), fc.oneof(part, near))
  fc.assert(fc.property(id, id, (a, b) => {
    const expected = a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]) ? -1 : a[0] === b[0] && a[1] === b[1] ? 0 : 1
    t.equal(Math.sign(compareStreamIds(a.join('-'), b.join('-'))), expected, `${a.join('-')} and ${b.join('-')}`)
    return isStreamId(a.join('-')) && compareStreamIds(BEFORE_ALL, a.join('-')) <= 0
  }))
})
