import { inspect } from 'node:util'
import t from 'tap'
import { kindOf, preview } from '../lib/preview.ts'

t.test('Should show a value', async (t) => {
  const values: ReadonlyArray<readonly [value: unknown, text: string]> = [
    [undefined, 'undefined'], [null, 'null'], [0, '0'], [-0, '-0'], [12n, '12n'], ['a', "'a'"], ['a\r\nb', "'a\\r\\nb'"],
    [{ a: { b: 1 } }, '{ a: [Object] }'], [[1, 2], '[ 1, 2 ]'], [Symbol('s'), 'Symbol(s)'], [new Map([[1, 2]]), 'Map(1) { 1 => 2 }'],
    [Object.create(null), '[Object: null prototype] {}']
  ]
  for (const [value, text] of values) t.equal(preview(value), text)
})

t.test('Should show any value in one short line', async (t) => {
  const values: ReadonlyArray<readonly [name: string, value: unknown]> = [
    ['a long string', 'x'.repeat(1e6)],
    ['a string of line ends', '\n'.repeat(1e6)],
    ['a long array', Array.from({ length: 100 }, (_, index) => index)],
    ['an array of objects', Array.from({ length: 100 }, () => ({ a: 1 }))],
    ['bytes', Buffer.alloc(1e6)],
    ['an object of many keys', Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, index]))],
    ['an error, without its stack', new Error('boom')],
    ['an error with a cause', new Error('boom', { cause: new Error('why') })],
    ['a long function', Function(`return ${'1+'.repeat(1000)}1`)],
    ['a regular expression', /a/],
    ['an inspection of its own', { [inspect.custom]: () => 'a\nb' }]
  ]
  for (const [name, value] of values) {
    t.ok(preview(value).length <= 160, name)
    t.notMatch(preview(value), /[\r\n]/, name)
  }
  t.match(preview(Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, index]))), /…$/)
})

t.test('Should show what cannot be shown', async (t) => {
  const secretive = { [inspect.custom] () { throw new Error('no') } }
  t.equal(preview(secretive), 'a object that cannot be shown')
})

t.test('Should describe a value without what is in it', async (t) => {
  const values: ReadonlyArray<readonly [value: unknown, text: string]> = [
    [{ password: 1 }, 'an object'], [Object.create(null), 'an object'], [new Map(), 'an instance of Map'], [[1], 'an array'],
    [new (class { readonly a = 1 })(), 'an object'], [{ constructor: 1 }, 'an object'], [() => {}, 'a function'], ['text', "'text'"], [1n, '1n'],
    [null, 'null'], [undefined, 'undefined'], [new Error('secret'), 'an instance of Error']
  ]
  for (const [value, text] of values) t.equal(kindOf(value), text)
})
