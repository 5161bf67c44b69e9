import { setImmediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { EMPTY_COMMENT, encodeEnd, encodeFrame, encodeRetry } from '../../lib/wire/encode.ts'
import type { Serializer } from '../../lib/wire/encode.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

/** Gives the text of a value's frame. */
function write (value: unknown, serializer: Serializer = JSON.stringify): string | null {
  return encodeFrame(value, serializer)?.bytes.toString() ?? null
}

t.test('Should write data that is a string as it is, and the rest as JSON', async (t) => {
  t.equal(write({ data: 'hello' }), 'data: hello\n\n')
  t.equal(write({ data: '{"a":1}' }), 'data: {"a":1}\n\n')
  t.equal(write({ data: ' x ' }), 'data:  x \n\n')
  t.equal(write({ data: 'é😀' }), 'data: é😀\n\n')
  t.equal(write({ data: '' }), 'data: \n\n')
  t.equal(write({ data: null }), 'data: null\n\n')
  t.equal(write({ data: 0 }), 'data: 0\n\n')
  t.equal(write({ data: false }), 'data: false\n\n')
  t.equal(write({ data: [1, 'a'] }), 'data: [1,"a"]\n\n')
  t.equal(write({ data: { hello: 'world', lines: 'a\r\nb' } }), 'data: {"hello":"world","lines":"a\\r\\nb"}\n\n')
  t.equal(write({ data: new Date(0) }), 'data: "1970-01-01T00:00:00.000Z"\n\n')
})

t.test('Should take a bare value for data', async (t) => {
  t.equal(write('hello'), 'data: hello\n\n')
  t.equal(write(''), 'data: \n\n')
  t.equal(write('a\nb'), 'data: a\ndata: b\n\n')
  t.equal(write(0), 'data: 0\n\n')
  t.equal(write(-1.5), 'data: -1.5\n\n')
  t.equal(write(true), 'data: true\n\n')
  t.equal(write(false), 'data: false\n\n')
  t.equal(write(null), 'data: null\n\n')
  t.equal(write([]), 'data: []\n\n')
  t.equal(write([{ event: 'x' }, 'a']), 'data: [{"event":"x"},"a"]\n\n')
})

/** A class whose instances have none of a message's fields. */
class Point {
  readonly x = 1
}

const LINES: ReadonlyArray<readonly [text: string, ...lines: string[]]> = [
  ['a\nb', 'a', 'b'],
  ['a\rb', 'a', 'b'],
  ['a\r\nb', 'a', 'b'],
  ['a\n\rb', 'a', '', 'b'],
  ['a\r\r\nb', 'a', '', 'b'],
  ['a\n', 'a', ''],
  ['\r', '', ''],
  ['\r\n\r\n', '', '', ''],
  ['a\rb\nc\r\nd', 'a', 'b', 'c', 'd'],
  ['a\u2028b\u2029c\u0085d\ve\ff', 'a\u2028b\u2029c\u0085d\ve\ff'],
  ['a\u2028b\n\u0085c', 'a\u2028b', '\u0085c']
]

t.test('Should split data and comments on CRLF, CR and LF, and on nothing else', async (t) => {
  for (const [text, ...lines] of LINES) {
    t.equal(write({ data: text }), `${lines.map((line) => `data: ${line}\n`).join('')}\n`)
    t.equal(write({ comment: text }), `${lines.map((line) => `: ${line}\n`).join('')}\n`)
    t.equal(write({ data: {} }, () => text), `${lines.map((line) => `data: ${line}\n`).join('')}\n`, 'of a serializer')
  }
})

t.test('Should write all fields in one block', async (t) => {
  t.equal(write({ data: [1], id: 'a b', type: 'tick', retry: 1500, comment: 'why' }),
    ': why\nid: a b\nevent: tick\nretry: 1500\ndata: [1]\n\n')
})

t.test('Should write what is there, true or not', async (t) => {
  t.equal(write({ id: 0 }), 'id: 0\n\n')
  t.equal(write({ id: '' }), 'id: \n\n')
  t.equal(write({ retry: 0 }), 'retry: 0\n\n')
  t.equal(write({ comment: '' }), ': \n\n')
  t.equal(write({ type: '', data: '' }), 'event: \ndata: \n\n')
})

t.test('Should write only what is there, but for a type, which needs data to be fired', async (t) => {
  t.equal(write({ id: 7 }), 'id: 7\n\n')
  t.equal(write({ retry: 250 }), 'retry: 250\n\n')
  t.equal(write({ comment: 'hi' }), ': hi\n\n')
  t.equal(write({ type: 'ping' }), 'event: ping\ndata:\n\n')
  t.equal(write({ type: 'ping', data: undefined, id: null, retry: null, comment: null }), 'event: ping\ndata:\n\n')
  t.equal(write({ type: null, data: null }), 'data: null\n\n')
  t.equal(write({ id: null, type: undefined, retry: 1 }), 'retry: 1\n\n')
})

t.test('Should write nothing for a message without fields', async (t) => {
  t.equal(write({}), null)
  t.equal(write(Object.create(null)), null)
  t.equal(write({ data: undefined, id: undefined, type: undefined, retry: undefined, comment: undefined }), null)
  t.equal(write({ id: null, type: null, retry: null, comment: null }), null)
})

t.test('Should take the extremes of each field', async (t) => {
  t.equal(write({ id: 'x'.repeat(1024) }), `id: ${'x'.repeat(1024)}\n\n`)
  t.equal(write({ id: -1.5 }), 'id: -1.5\n\n')
  t.equal(write({ retry: Number.MAX_SAFE_INTEGER }), 'retry: 9007199254740991\n\n')
  t.equal(write({ retry: -0 }), 'retry: 0\n\n')
  t.equal(write({ type: ' a: b\0\u2028', data: 1 }), 'event:  a: b\0\u2028\ndata: 1\n\n')
  t.equal(write({ data: '\0\ufeff\ud800' }), 'data: \0\ufeff\ufffd\n\n')
})

t.test('Should read instances of classes by the five names alone, each once', async (t) => {
  class Tick {
    readonly event = 'ignored'
    readonly secret = 'ignored'
    #reads = 0
    get id (): number { return this.#reads++ }
    get data (): string { return 'tock' }
  }
  t.equal(write(new Tick()), 'id: 0\ndata: tock\n\n')
  t.equal(write(new (class extends Tick {})()), 'id: 0\ndata: tock\n\n', 'from the prototypes')
  for (const field of ['data', 'id', 'type', 'retry', 'comment']) {
    t.equal(write(Object.assign(new Point(), { [field]: undefined })), null, `${field} alone makes a message, if an empty one`)
  }
})

t.test('Should refuse a plain object with another key', async (t) => {
  const plain = [{ a: 1, event: 'x' }, Object.assign(Object.create(null), { event: 'x' }), runInNewContext('({ event: "x" })')]
  t.throws(() => write({ hello: 'world' }),
    { code: 'FST_SSE_UNKNOWN_FIELD', message: 'A message has no field "hello"; if it is part of the data, wrap it: { data: value }' })
  t.throws(() => write({ data: 1, event: 'x' }),
    { code: 'FST_SSE_UNKNOWN_FIELD', message: 'A message has no field "event"; did you mean "type"?' })
  t.throws(() => write({ data: 1, lost: null }), { code: 'FST_SSE_UNKNOWN_FIELD', message: /"lost"/ })
  for (const value of plain) t.throws(() => write(value), { code: 'FST_SSE_UNKNOWN_FIELD' })
  t.equal(write({ data: 1, event: undefined }), 'data: 1\n\n', 'one that is undefined is absent')
})

t.test('Should refuse what is not a message', async (t) => {
  const values: ReadonlyArray<readonly [value: unknown, shown: RegExp]> = [
    [undefined, /^undefined is not a message; emit \{ data \}/],
    [Symbol('s'), /^Symbol\(s\) is/], [() => {}, /^a function is/], [12n, /^12n is/],
    [new Date(0), /^an instance of Date is not a message; it has none of the fields .* wrap it, \{ data: value \}/],
    [new Map([['data', 1]]), /^an instance of Map is/], [new Set(), /^an instance of Set is/],
    [new Error('boom'), /^an instance of Error is/], [new Point(), /^an instance of Point is/]
  ]
  for (const [value, message] of values) t.throws(() => write(value), { code: 'FST_SSE_INVALID_MESSAGE', message })
})

t.test('Should refuse bytes', async (t) => {
  const bytes = [Buffer.from('data: x\n\n'), new Uint8Array(2), new DataView(new ArrayBuffer(2)), new ArrayBuffer(2)]
  for (const value of bytes) {
    t.throws(() => write(value), { code: 'FST_SSE_INVALID_MESSAGE', message: /bytes are not text: emit their text/ })
  }
})

t.test('Should refuse a field that cannot be written, with its name and its value', async (t) => {
  const fields: ReadonlyArray<readonly [name: string, value: unknown, shown?: string]> = [
    ['comment', 1, '1'], ['comment', ['a'], 'an array'], ['comment', false, 'false'],
    ['type', 1, '1'], ['type', 'a\nb', "'a\\nb'"], ['type', 'a\rb', "'a\\rb'"], ['type', '\r\n', "'\\r\\n'"], ['type', {}, 'an object'],
    ['retry', -1, '-1'], ['retry', 1.5, '1.5'], ['retry', NaN, 'NaN'], ['retry', Infinity, 'Infinity'], ['retry', '10', "'10'"],
    ['retry', 2 ** 53, '9007199254740992'], ['retry', 1n, '1n'], ['retry', true, 'true'],
    ['id', NaN, 'NaN'], ['id', -Infinity, '-Infinity'], ['id', true, 'true'], ['id', 1n, '1n'], ['id', {}, 'an object'],
    ['id', ' a', "' a'"], ['id', 'a ', "'a '"], ['id', 'a\nb', "'a\\nb'"], ['id', 'é', "'é'"], ['id', 'x'.repeat(1025)]
  ]
  for (const [name, value, shown = ''] of fields) {
    const error = t.throws(() => write({ data: 1, [name]: value }), { code: 'FST_SSE_INVALID_FIELD', statusCode: 500 }) as Error
    t.match(error.message, `The field "${name}" of a message must be `)
    t.ok(error.message.includes(`; it is ${shown}`), error.message)
  }
  t.throws(() => write({ id: 'fastify-rxjs-sse:end' }), { code: 'FST_SSE_RESERVED_ID', message: /"id".*"fastify-rxjs-sse:end"/ })
})

t.test('Should refuse data that cannot be serialized', async (t) => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const unserializable: unknown[] = [1n, { big: 1n }, cycle, () => {}, Symbol('s'), { toJSON () { throw new Error('no') } }]
  for (const data of unserializable) {
    t.throws(() => write({ data }), { code: 'FST_SSE_SERIALIZATION', message: /^The field "data" of a message cannot be serialized/ })
  }
  t.throws(() => write([1n]), { code: 'FST_SSE_SERIALIZATION', message: /"data".* it is an array; the serializer threw: .*BigInt/ })
  t.throws(() => write({ data: Symbol('s') }), { message: /it is Symbol\(s\); the serializer gave undefined: it must give a string/ })
})

t.test('Should say in the error what a serializer threw, or returned that is no string', async (t) => {
  const cause = new Error('out of words')
  t.throws(() => write({ data: 1 }, () => { throw cause }),
    { code: 'FST_SSE_SERIALIZATION', message: /it is 1; the serializer threw: 'out of words'$/, cause })
  t.throws(() => write(1, () => { throw 'a string' }), { code: 'FST_SSE_SERIALIZATION', message: /threw: 'a string'$/ })
  for (const given of [undefined, null, 1, {}, Buffer.from('x'), Promise.resolve('x')]) {
    t.throws(() => write({ data: 1 }, () => given as string), { code: 'FST_SSE_SERIALIZATION', message: /the serializer gave .*: it must give a string$/ })
  }
  const rejections: unknown[] = []
  const onRejection = (reason: unknown) => rejections.push(reason)
  process.prependListener('unhandledRejection', onRejection)
  t.teardown(() => process.removeListener('unhandledRejection', onRejection))
  t.throws(() => write({ data: 1 }, (async () => { throw cause }) as unknown as Serializer), { message: /gave an instance of Promise/ })
  await setImmediate()
  t.same(rejections, [], 'what an async one rejects with is not left unhandled')
})

t.test('Should give a serializer all data but strings', async (t) => {
  const serializer = t.captureFn((data: unknown) => `<${String(data)}>`)
  t.equal(write({ data: 'text' }, serializer), 'data: text\n\n')
  t.equal(write('text', serializer), 'data: text\n\n')
  t.equal(write({ type: 'x' }, serializer), 'event: x\ndata:\n\n')
  t.equal(serializer.calls.length, 0)
  t.equal(write({ data: null }, serializer), 'data: <null>\n\n')
  t.equal(write(12, serializer), 'data: <12>\n\n')
  t.same(serializer.args(), [[null], [12]])
})

t.test('Should make the frames of a stream itself', async (t) => {
  t.equal(EMPTY_COMMENT.toString(), ':\n\n')
  t.equal(encodeRetry(0).toString(), 'retry: 0\n\n')
  t.equal(encodeEnd('end', undefined, JSON.stringify).toString(), 'id: fastify-rxjs-sse:end\nevent: end\ndata:\n\n')
  t.equal(encodeEnd('bye', null, JSON.stringify).toString(), 'id: fastify-rxjs-sse:end\nevent: bye\ndata: null\n\n')
  t.equal(encodeEnd('bye', 'a\r\nb', JSON.stringify).toString(), 'id: fastify-rxjs-sse:end\nevent: bye\ndata: a\ndata: b\n\n')
  t.throws(() => encodeEnd('a\nb', undefined, JSON.stringify), { code: 'FST_SSE_INVALID_FIELD', message: /"type"/ })
})
