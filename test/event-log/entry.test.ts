import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { MessageEvent, SseValue } from '../../index.ts'
import { LogEntry, contentOf } from '../../lib/event-log/entry.ts'
import { encodeFrame, kFrame } from '../../lib/wire/encode.ts'
import { readLog } from '../fixtures/log-readers.ts'

const json = JSON.stringify

function entryOf (value: unknown): LogEntry {
  return new LogEntry('a-1', 0, contentOf(value))
}

/** The text of the frame, after its id. */
function wire (value: unknown, serializer: (data: unknown) => string = json): string {
  const text = entryOf(value)[kFrame](serializer).toString()
  t.match(text, /^(: .*\n)*id: a-1\n/)
  return text.replace('id: a-1\n', '')
}

for (const { value, text, data = value } of [
  { value: 'text', text: 'data: text\n\n' },
  { value: '', text: 'data: \n\n' },
  { value: '{"looks":"like JSON"}', text: 'data: {"looks":"like JSON"}\n\n' },
  { value: 'one\ntwo\r\nthree\rfour', text: 'data: one\ndata: two\ndata: three\ndata: four\n\n' },
  { value: 'é 🌍', text: 'data: é 🌍\n\n' },
  { value: 0, text: 'data: 0\n\n' },
  { value: false, text: 'data: false\n\n' },
  { value: null, text: 'data: null\n\n' },
  { value: [1, 'a', null], text: 'data: [1,"a",null]\n\n' },
  { value: { data: { a: [1] } }, text: 'data: {"a":[1]}\n\n', data: { a: [1] } },
  { value: { data: null }, text: 'data: null\n\n', data: null },
  { value: { data: '' }, text: 'data: \n\n', data: '' },
  { value: { data: 0, type: 'tick' }, text: 'event: tick\ndata: 0\n\n', data: 0 },
  { value: { data: 'd', retry: 0, comment: 'c' }, text: 'retry: 0\ndata: d\n\n', data: 'd', comment: ': c\n' },
  { value: { data: 'd', id: undefined }, text: 'data: d\n\n', data: 'd' },
  { value: { data: 'd', id: null, type: null, retry: null, comment: null }, text: 'data: d\n\n', data: 'd' },
  { value: { data: new Date(0) }, text: 'data: "1970-01-01T00:00:00.000Z"\n\n', data: '1970-01-01T00:00:00.000Z' },
  { value: { data: { a: undefined, b: NaN } }, text: 'data: {"b":null}\n\n', data: { b: null } }
]) {
  t.test(`Should hold ${json(value)} as ${json(text)}`, async (t) => {
    t.equal(wire(value).replace(/^: .*\n/, ''), text)
    const entry = entryOf(value)
    t.same(entry.data, data)
    t.same(entry.message.data, data)
  })
}

t.test('Should hold a type without data, which fires an event', async (t) => {
  t.equal(wire({ type: 'bare' }), 'event: bare\ndata:\n\n')
  t.equal(entryOf({ type: 'bare' }).data, undefined)
})

t.test('Should show the fields of an event, and its copy too', async (t) => {
  const fields = { data: { a: 1 }, type: 'tick', retry: 1000, comment: 'c' }
  const entry = entryOf(fields)
  const { id, data, type, retry, comment } = entry
  t.same({ id, data, type, retry, comment }, { id: 'a-1', ...fields })
  t.same({ ...entry.message }, { id: 'a-1', ...fields })
  const copy = encodeFrame({ ...entry.message, type: 'tock' }, json)
  t.equal(copy?.toString(), ': c\nid: a-1\nevent: tock\nretry: 1000\ndata: {"a":1}\n\n')
})

t.test('Should refuse to have an event changed that others get too', async (t) => {
  const message = entryOf({ data: { a: 1 }, type: 'tick' }).message as { type: unknown }
  t.throws(() => { message.type = 'tock' }, { name: 'TypeError' })
})

t.test('Should count the bytes of the frame, and 128', async (t) => {
  t.equal(entryOf('é\nb').size, Buffer.byteLength('id: a-1\ndata: é\ndata: b\n\n') + 128)
})

for (const { value, code, message } of [
  {
    value: { data: 1, id: '7' },
    code: 'FST_SSE_INVALID_FIELD',
    message: /"id" of a message must be absent, as the log gives it; it is '7'/
  },
  { value: { data: 1, id: '' }, code: 'FST_SSE_INVALID_FIELD', message: /"id"/ },
  { value: { data: 1, id: 0 }, code: 'FST_SSE_INVALID_FIELD', message: /"id"/ },
  {
    value: {},
    code: 'FST_SSE_INVALID_MESSAGE',
    message: /neither data nor a type is not a message; .* append \{ data \}/
  },
  { value: { comment: 'c', retry: 1 }, code: 'FST_SSE_INVALID_MESSAGE', message: /neither data nor a type/ },
  { value: { data: undefined, type: null }, code: 'FST_SSE_INVALID_MESSAGE', message: /neither data nor a type/ },
  { value: undefined, code: 'FST_SSE_INVALID_MESSAGE', message: /undefined is not a message/ },
  { value: () => {}, code: 'FST_SSE_INVALID_MESSAGE', message: /a function is not a message/ },
  { value: Buffer.from('a'), code: 'FST_SSE_INVALID_MESSAGE', message: /bytes are not text/ },
  { value: { hello: 'world' }, code: 'FST_SSE_UNKNOWN_FIELD', message: /no field "hello".*wrap it/ },
  { value: { event: 'a', data: 1 }, code: 'FST_SSE_UNKNOWN_FIELD', message: /did you mean "type"/ },
  { value: { data: 1n }, code: 'FST_SSE_SERIALIZATION', message: /BigInt/ },
  { value: { data: cycle() }, code: 'FST_SSE_SERIALIZATION', message: /circular/ },
  { value: { data: () => {} }, code: 'FST_SSE_SERIALIZATION', message: /a function; the serializer gave undefined/ },
  { value: { data: Symbol('s') }, code: 'FST_SSE_SERIALIZATION', message: /the serializer gave undefined/ },
  { value: { data: { toJSON: fail } }, code: 'FST_SSE_SERIALIZATION', message: /the serializer threw: 'no'/ },
  { value: { data: 1, type: 'a\nb' }, code: 'FST_SSE_INVALID_FIELD', message: /"type" .* without line ends/ },
  { value: { data: 1, retry: -1 }, code: 'FST_SSE_INVALID_FIELD', message: /"retry"/ },
  { value: { data: 1, comment: 1 }, code: 'FST_SSE_INVALID_FIELD', message: /"comment"/ }
]) {
  t.test(`Should reject what cannot be sent, and hold nothing of it: ${code} ${message}`, async (t) => {
    const log = new MemoryEventLog({ from: 'start' })
    t.throws(() => contentOf(value), { code, message })
    const promise = log.append(value as SseValue)
    await t.rejects(promise, { code, message })
    const reader = readLog('RxJS', log)
    t.same(reader.got, [])
    const id = await log.append('next')
    t.match(id, /-1$/, 'no id was spent')
    t.same(reader.got.map(({ data }) => data), ['next'])
  })
}

function fail (): never {
  throw new Error('no')
}

function cycle (): object {
  const a: { a?: object } = {}
  a.a = a
  return a
}

t.test('Should hold data as it was when it was appended', async (t) => {
  const log = new MemoryEventLog<{ list: number[] }>({ from: 'start' })
  const data = { list: [1] }
  const message = { data, type: 'before' }
  const appended = log.append(message)
  data.list.push(2)
  message.type = 'after'
  await appended
  data.list.push(3)
  const [event] = readLog('RxJS', log).got
  t.same(event?.data, { list: [1] })
  t.equal(event?.type, 'before')
})

t.test('Should give a serializer what JSON.parse makes of the data, and no string', async (t) => {
  const given: unknown[] = []
  const serializer = (data: unknown): string => { given.push(data); return 'one\ntwo' }
  t.equal(wire({ data: { a: 1 }, type: 'tick' }, serializer), 'event: tick\ndata: one\ndata: two\n\n')
  t.equal(wire('text', serializer), 'data: text\n\n')
  t.equal(wire({ type: 'bare' }, serializer), 'event: bare\ndata:\n\n')
  t.equal(wire([1], serializer), 'data: one\ndata: two\n\n')
  t.same(given, [{ a: 1 }, [1]])
})

t.test('Should make a frame once for all who ask with the same serializer, besides those who want JSON', async (t) => {
  let count = 0
  const upper = (data: unknown): string => { count++; return json(data).toUpperCase() }
  const entry = entryOf({ data: { a: 'x' } })
  const frame = entry[kFrame](json)
  t.equal(entry[kFrame](json), frame)
  const other = entry[kFrame](upper)
  t.equal(entry[kFrame](upper), other)
  t.equal(entry.message[kFrame](upper), other)
  t.equal(count, 1)
  t.equal(other.toString(), 'id: a-1\ndata: {"A":"X"}\n\n')
  t.equal(frame.toString(), 'id: a-1\ndata: {"a":"x"}\n\n')
  t.equal(entry[kFrame](json), frame)
  t.equal(entry[kFrame](upper), other)
  t.equal(count, 1)
  t.equal(entry[kFrame](() => 'third').toString(), 'id: a-1\ndata: third\n\n')
  t.equal(entry[kFrame](upper).toString(), other.toString())
})

t.test('Should fail the reader whose serializer fails, and go on with another', async (t) => {
  const entry = entryOf({ data: { a: 1 } })
  t.throws(() => entry[kFrame](fail), { code: 'FST_SSE_SERIALIZATION', message: /threw: 'no'/ })
  t.throws(() => entry[kFrame](() => 1 as unknown as string), { code: 'FST_SSE_SERIALIZATION' })
  t.equal(entry[kFrame](json).toString(), 'id: a-1\ndata: {"a":1}\n\n')
})

t.test('Should parse data once for all who use it, and never a string', async (t) => {
  const parse = JSON.parse
  const parsed: string[] = []
  JSON.parse = (text: string) => { parsed.push(text); return parse(text) as unknown }
  t.teardown(() => { JSON.parse = parse })
  const log = new MemoryEventLog()
  const events: Array<MessageEvent | undefined> = []
  const filter = (event: MessageEvent): boolean => { events.push(event); return event.data !== 'none' }
  readLog('an event stream', log).pull(Infinity)
  await log.append({ data: { a: 0 } })
  t.same(parsed, [], 'a stream has no use for it')
  for (let i = 0; i < 3; i++) readLog('RxJS', log, undefined, { filter })
  await log.append({ data: { a: 1 } })
  t.same(parsed, ['{"a":1}'])
  t.equal(new Set(events).size, 1)
  await log.append('{"a":2}')
  t.same(parsed, ['{"a":1}'])
  t.equal(events.at(-1)?.data, '{"a":2}')
})
