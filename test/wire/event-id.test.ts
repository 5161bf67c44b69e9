import t from 'tap'
import { END_ID, decodeLastEventId, formatId } from '../../lib/wire/event-id.ts'

/** Gives a header as Node does: a character for each byte that the client sent. */
function received (text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

t.test('Should write an id that survives the way back in a header', async (t) => {
  const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, index) => index + 32)).trim()
  for (const id of ['', '0', 'a', 'a b', '1-0', '~', '!', printable, 'x'.repeat(1024)]) t.equal(formatId(id), id)
})

t.test('Should write finite numbers', async (t) => {
  for (const [id, text] of [[0, '0'], [-0, '0'], [42, '42'], [-1.5, '-1.5'], [1e21, '1e+21'], [2 ** 53, '9007199254740992']]) {
    t.equal(formatId(id), text)
  }
})

t.test('Should refuse every character that a header loses', async (t) => {
  const codes = [...Array.from({ length: 32 }, (_, code) => code), 0x7f, 0x80, 0xa0, 0xe9, 0xff, 0x100, 0x2028, 0xd800, 0xfeff]
  for (const code of codes) {
    const character = String.fromCharCode(code)
    for (const id of [character, `a${character}`, `${character}a`, `a${character}b`]) {
      t.throws(() => formatId(id), { code: 'FST_SSE_INVALID_FIELD', message: /^The field "id" of a message must be .*; it is '/ })
    }
  }
})

t.test('Should refuse outer spaces, what is too long, and what is neither a string nor a finite number', async (t) => {
  const bad = [' ', ' a', 'a ', ' a ', 'x'.repeat(1025), NaN, Infinity, -Infinity, true, 1n, null, undefined, {}, ['a'], Symbol('s')]
  for (const id of bad) t.throws(() => formatId(id), { code: 'FST_SSE_INVALID_FIELD', message: /"id"/ })
})

t.test('Should refuse the id that marks the end of a finite stream', async (t) => {
  t.throws(() => formatId(END_ID), { code: 'FST_SSE_RESERVED_ID', message: /"id".*"fastify-rxjs-sse:end".*use another id$/ })
  t.equal(formatId(`${END_ID}s`), `${END_ID}s`)
})

t.test('Should decode a Last-Event-ID that is UTF-8', async (t) => {
  for (const id of ['', 'abc', 'a b', 'é', '日本', '😀', '\ufeffa']) t.equal(decodeLastEventId(received(id)), id)
})

t.test('Should leave a Last-Event-ID that is not UTF-8 as it came', async (t) => {
  for (const id of ['é', 'caf\xe9', '\xff', '\xc3\xa9\xe9']) t.equal(decodeLastEventId(id), id)
})

t.test('Should take the first of several headers, and none for none', async (t) => {
  t.equal(decodeLastEventId(undefined), undefined)
  t.equal(decodeLastEventId([received('é'), 'b']), 'é')
  t.equal(decodeLastEventId([]), undefined)
})
