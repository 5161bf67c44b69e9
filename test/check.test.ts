import { runInNewContext } from 'node:vm'
import t from 'tap'
import {
  checkBoolean, checkChoice, checkCount, checkFunction, checkMembers, checkMilliseconds, checkOptions, checkSignal,
  checkText, invalidOption, ownMembers
} from '../lib/check.ts'

const INVALID = 'FST_SSE_INVALID_OPTION'

/** The error for an option that is neither `a` nor `b`. */
function unknown (option: string): { code: string, message: string } {
  return { code: 'FST_SSE_UNKNOWN_OPTION', message: `The option "${option}" is not known here; there are a, b` }
}

t.test('Should name the option, what it must be, and what it is', async (t) => {
  t.match(invalidOption('x', 'a thing', 'y'), { code: INVALID, message: 'The option "x" must be a thing; it is \'y\'' })
})

interface Refused {
  readonly check: (value: unknown) => unknown
  readonly values: readonly unknown[]
  readonly expected: string
}

const REFUSED: Readonly<Record<string, Refused>> = {
  milliseconds: {
    check: (value) => checkMilliseconds('x', value, 2, 5),
    values: [1, 6, 2.5, NaN, Infinity, '3', 3n, null, undefined, {}],
    expected: 'a whole number of milliseconds from 2 to 5'
  },
  'milliseconds, or something else': {
    check: (value) => checkMilliseconds('x', value, 2, 5, ', or false'),
    values: [1, true],
    expected: 'a whole number of milliseconds from 2 to 5, or false'
  },
  'a count': {
    check: (value) => checkCount('x', value, 'bytes'),
    values: [0, -1, 1.5, 2 ** 53, '3', null, undefined],
    expected: 'a whole number of bytes from 1'
  },
  'a count from 0, or something else': {
    check: (value) => checkCount('x', value, 'streams', 0, ', or none'),
    values: [-1, '0'],
    expected: 'a whole number of streams from 0, or none'
  },
  'a boolean': {
    check: (value) => checkBoolean('x', value),
    values: [0, 1, 'true', null, undefined, Object(true)],
    expected: 'true or false'
  },
  'a text': {
    check: (value) => checkText('x', value, 'a name'),
    values: ['', 1, null, undefined, ['a'], Object('a')],
    expected: 'a name'
  },
  'a choice': {
    check: (value) => checkChoice('x', value, ['a', 503]),
    values: ['b', '503', null, undefined],
    expected: "'a' or 503"
  },
  'a function': {
    check: (value) => checkFunction('x', value),
    values: [null, undefined, {}, 'f'],
    expected: 'a function'
  },
  'a signal': {
    check: (value) => checkSignal('x', value),
    values: [
      null, undefined, 'signal', {}, new AbortController(), new EventTarget(),
      { aborted: false, addEventListener () {} },
      { aborted: false, removeEventListener () {} },
      { addEventListener () {}, removeEventListener () {} }
    ],
    expected: 'an AbortSignal'
  },
  members: {
    check: (value) => checkMembers('x', value, ['a'], 'an object, { a }'),
    values: [null, undefined, 1, 'a', ['a'], () => {}],
    expected: 'an object, { a }'
  },
  'own members': {
    check: (value) => ownMembers('x', value),
    values: [null, undefined, 1, 'a', [], () => {}],
    expected: 'an object'
  }
}

for (const [name, { check, values, expected }] of Object.entries(REFUSED)) {
  t.test(`Should refuse what is not ${name}`, async (t) => {
    const message = new RegExp(`^The option "x" must be ${expected.replace(/[{}]/g, '\\$&')}; it is `)
    for (const value of values) t.throws(() => check(value), { code: INVALID, message })
  })
}

t.test('Should return a value that is right', async (t) => {
  for (const value of [2, 5]) t.equal(checkMilliseconds('x', value, 2, 5), value)
  for (const value of [1, Number.MAX_SAFE_INTEGER]) t.equal(checkCount('x', value, 'bytes'), value)
  t.equal(checkCount('x', 0, 'bytes', 0), 0)
  for (const value of [true, false]) t.equal(checkBoolean('x', value), value)
  t.equal(checkText('x', ' ', 'a name'), ' ')
  for (const value of ['a', 503]) t.equal(checkChoice('x', value, ['a', 503]), value)
  t.equal(checkFunction('x', isNaN), isNaN)
})

t.test('Should take the signal of another realm', async (t) => {
  const { signal } = new AbortController()
  t.equal(checkSignal('x', signal), signal)
  const foreign: unknown = runInNewContext('({ aborted: false, addEventListener () {}, removeEventListener () {} })')
  t.equal(checkSignal('x', foreign), foreign)
})

t.test('Should refuse a member that is not known, whatever its value, and list those that are', async (t) => {
  t.throws(() => checkOptions({ a: 1, c: undefined }, ['a', 'b']), unknown('c'))
  t.throws(() => checkMembers('x', { c: 1 }, ['a', 'b']), unknown('x.c'))
  for (const name of ['toString', 'constructor', '__proto__']) {
    t.throws(() => checkOptions(JSON.parse(`{ "${name}": 1 }`), ['a', 'b']), unknown(name))
  }
  t.throws(() => checkOptions(null, ['a']), { code: INVALID, message: /^The option "options" must be an object; / })
})

t.test('Should read own members alone', async (t) => {
  Object.assign(Object.prototype, { a: 'inherited', c: 'unknown' })
  t.teardown(() => { for (const name of ['a', 'c']) Reflect.deleteProperty(Object.prototype, name) })
  t.same(Object.entries(checkOptions({ b: 1 }, ['a', 'b'])), [['b', 1]])
  const { a, b } = checkMembers('x', Object.create({ b: 2 }), ['a', 'b'])
  t.same([a, b], [undefined, undefined])
})
