import * as fc from 'fast-check'
import { createParser } from 'eventsource-parser'
import t from 'tap'
import { encodeFrame } from '../../lib/wire/encode.ts'
import type { Serializer } from '../../lib/wire/encode.ts'

/** The callbacks of a parser, in order. */
type RecordingLogger = ['event', { id: string | undefined, event: string | undefined, data: string }] | ['retry', number] | ['comment', string] | ['error', string]

interface Fields { data?: unknown, id?: unknown, type?: unknown, retry?: unknown, comment?: unknown }

/** Pieces of text that a careless encoder gets wrong. Two surrogates side by side become one character. */
const piece = fc.constantFrom('\n', '\r', '\r\n', '\0', '\ud800', '\udfff', '\ud83d', '\ude00', '😀', '\ufeff', '\u2028', '\u2029',
  '\u0085', '\v', '\f', ' ', '\t', ':', 'data:', 'id: x', 'event', '%s', '"', '\\', 'é', '日', 'a', '0')
const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: piece, maxLength: 8 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) }
)
const absent = fc.constantFrom(undefined, null)
const cycle: Record<string, unknown> = {}
cycle.self = cycle
const notText = fc.constantFrom<unknown>(1, true, 1n, ['a'], {}, Symbol('s'))

const data = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 6, arbitrary: fc.jsonValue({ maxDepth: 2, stringUnit: 'binary' }) },
  { weight: 2, arbitrary: fc.array(text, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(1n, cycle, () => {}, Symbol('s')) }
)
const id = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 12 }) },
  { weight: 2, arbitrary: fc.oneof(fc.integer(), fc.double()) },
  { weight: 1, arbitrary: text },
  { weight: 1, arbitrary: fc.integer({ min: 1020, max: 1030 }).map((length) => 'x'.repeat(length)) },
  { weight: 2, arbitrary: absent },
  { weight: 1, arbitrary: fc.oneof(notText, fc.constant('fastify-rxjs-sse:end')) }
)
const type = fc.oneof(
  { weight: 3, arbitrary: text }, { weight: 3, arbitrary: fc.string({ maxLength: 8 }) }, { weight: 2, arbitrary: absent }, { weight: 1, arbitrary: notText })
const retry = fc.oneof(
  { weight: 6, arbitrary: fc.maxSafeNat() }, { weight: 1, arbitrary: fc.oneof(fc.integer(), fc.double()) }, { weight: 2, arbitrary: absent },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('10', true, 1n, {}) })
const comment = fc.oneof({ weight: 7, arbitrary: text }, { weight: 2, arbitrary: absent }, { weight: 1, arbitrary: notText })

const fields = fc.record<Fields>({ data, id, type, retry, comment }, { requiredKeys: [] })
const serializer = fc.oneof({ weight: 4, arbitrary: fc.constant<Serializer>(JSON.stringify) }, { weight: 1, arbitrary: text.map((text): Serializer => () => text) })

/** Gives the same fields as a plain object, as one without a prototype, and as an instance of a class with more. */
const shape = fc.constantFrom<(fields: Fields) => object>(
  (fields) => fields,
  (fields) => Object.assign(Object.create(null), fields),
  (fields) => Object.assign(new (class { readonly event = 'x'; type = undefined })(), fields)
)

/** Gives a text as a parser must: with LF as its line ends, and well-formed. */
function received (text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll('\r', '\n').replaceAll(/\p{Surrogate}/gu, '\ufffd')
}

/** Gives `data` as a parser must give it, or `null` if it cannot be sent. */
function textOf (data: unknown, serializer: Serializer): string | null {
  if (typeof data === 'string') return received(data)
  try {
    return received(serializer(data))
  } catch {
    return null
  }
}

/** Gives the fields that must be refused, as the documentation says it. */
function faultsOf ({ data, id, type, retry, comment }: Fields, serializer: Serializer): string[] {
  const faults: string[] = []
  if (data !== undefined && textOf(data, serializer) === null) faults.push('data')
  if (id !== undefined && id !== null && !isGoodId(id)) faults.push('id')
  if (type !== undefined && type !== null && (typeof type !== 'string' || type.includes('\r') || type.includes('\n'))) faults.push('type')
  if (retry !== undefined && retry !== null && (!Number.isSafeInteger(retry) || Number(retry) < 0)) faults.push('retry')
  if (comment !== undefined && comment !== null && typeof comment !== 'string') faults.push('comment')
  return faults
}

function isGoodId (id: unknown): boolean {
  if (typeof id === 'number') return Number.isFinite(id)
  return typeof id === 'string' && id.length <= 1024 && id.trim() === id && id !== 'fastify-rxjs-sse:end' &&
    [...id].every((character) => character >= ' ' && character <= '~')
}

/** Gives the callbacks of a parser that a message must cause. */
function expected ({ data, id, type, retry, comment }: Fields, serializer: Serializer): RecordingLogger[] {
  const told: RecordingLogger[] = []
  if (typeof comment === 'string') for (const line of received(comment).split('\n')) told.push(['comment', line])
  if (typeof retry === 'number') told.push(['retry', Math.abs(retry)])
  if (data !== undefined || typeof type === 'string') {
    told.push(['event', {
      id: typeof id === 'string' || typeof id === 'number' ? String(id) : undefined,
      event: typeof type === 'string' && type !== '' ? received(type) : undefined,
      data: data === undefined ? '' : textOf(data, serializer) ?? ''
    }])
  }
  return told
}

/** Feeds bytes to a parser, in pieces that end at `cuts`; gives its callbacks. */
function parse (bytes: Buffer, cuts: readonly number[]): RecordingLogger[] {
  const told: RecordingLogger[] = []
  const parser = createParser({
    onEvent: ({ id, event, data }) => told.push(['event', { id, event, data }]),
    onRetry: (retry) => told.push(['retry', retry]),
    onComment: (comment) => told.push(['comment', comment]),
    onError: ({ message }) => told.push(['error', message])
  })
  const decoder = new TextDecoder()
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  let start = 0
  for (const end of ends) {
    parser.feed(decoder.decode(bytes.subarray(start, end), { stream: true }))
    start = end
  }
  return told
}

/** Encodes a message; gives `null` if it was refused, as it had to be, with an error that names a wrong field. */
function encode (message: object, fields: Fields, serializer: Serializer): Buffer | null {
  const faults = faultsOf(fields, serializer)
  let frame: Buffer | null
  try {
    frame = encodeFrame(message, serializer)?.bytes ?? null
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    const isNamed = faults.some((fault) => message.includes(`The field "${fault}" of a message `))
    if (!isNamed || code?.startsWith('FST_SSE_') !== true) throw error
    return null
  }
  if (faults.length > 0) throw new Error(`taken, in spite of ${faults.join(', ')}`)
  return frame ?? Buffer.alloc(0)
}

function assertSame (told: RecordingLogger[], expected: RecordingLogger[]): void {
  if (told.length !== expected.length || JSON.stringify(told) !== JSON.stringify(expected)) {
    throw new Error(`told ${JSON.stringify(told)}, not ${JSON.stringify(expected)}`)
  }
}

t.test('Should give back every message, or refuse it with the name of the field', async (t) => {
  let taken = 0
  let refused = 0
  fc.assert(fc.property(fields, shape, serializer, (fields, shape, serializer) => {
    const frame = encode(shape(fields), fields, serializer)
    if (frame === null) return void refused++
    taken++
    if (frame.includes('\r')) throw new Error('a frame has no line end but LF')
    assertSame(parse(frame, []), expected(fields, serializer))
  }), { numRuns: 60_000 })
  t.ok(taken > 10_000 && refused > 10_000, `${taken} were taken, ${refused} refused`)
})

t.test('Should give back every bare value', async () => {
  const value = fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null), fc.array(fc.jsonValue({ maxDepth: 1 })))
  fc.assert(fc.property(value, (value) => {
    assertSame(parse(encode(value as object, { data: value }, JSON.stringify) ?? Buffer.alloc(0), []), expected({ data: value }, JSON.stringify))
  }), { numRuns: 10_000 })
})

t.test('Should give back the messages of a stream in order, wherever it is cut', async () => {
  fc.assert(fc.property(fc.array(fields, { maxLength: 5 }), serializer, fc.array(fc.nat(), { maxLength: 12 }), (messages, serializer, cuts) => {
    const frames = messages.map((fields) => encode(fields, fields, serializer))
    const taken = messages.filter((_fields, index) => frames[index] !== null)
    const bytes = Buffer.concat(frames.filter((frame) => frame !== null))
    assertSame(parse(bytes, cuts), taken.flatMap((fields) => expected(fields, serializer)))
  }), { numRuns: 30_000 })
})
