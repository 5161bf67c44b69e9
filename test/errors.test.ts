import t from 'tap'
import * as errors from '../lib/errors.ts'

t.test('Should give each error its own code, a status and a prototype', async (t) => {
  const typeErrors = new Set([
    'FST_SSE_INVALID_OPTION', 'FST_SSE_UNKNOWN_OPTION', 'FST_SSE_INVALID_SOURCE', 'FST_SSE_INVALID_MESSAGE',
    'FST_SSE_UNKNOWN_FIELD', 'FST_SSE_INVALID_FIELD', 'FST_SSE_RESERVED_ID', 'FST_SSE_SERIALIZATION',
    'FST_SSE_NOT_A_STREAM_ROUTE'
  ])
  const statuses: Readonly<Record<string, number>> = {
    FST_SSE_MAX_CONNECTIONS: 503, FST_SSE_LOG_UNAVAILABLE: 503, FST_SSE_NOT_ACCEPTABLE: 406
  }
  const cause = new Error('why')
  for (const [name, Constructor] of Object.entries(errors)) {
    const error = new (Constructor as unknown as new (...args: unknown[]) => Error & { code: string, statusCode: number })(
      'one', 'two', 'three', { cause })
    t.equal(error.code, name)
    t.equal(error.statusCode, statuses[name] ?? 500)
    t.equal(error.cause, cause)
    t.equal(error instanceof TypeError, typeErrors.has(name), `${name} is a ${typeErrors.has(name) ? 'TypeError' : 'plain Error'}`)
    t.ok(error instanceof Error)
    t.notMatch(error.message, /%[sdifjoOc]/)
  }
})

t.test('Should say what is wrong, with what, and what to do', async (t) => {
  t.equal(new errors.FST_SSE_INVALID_OPTION('heartbeat', 'a number', '-1').message, 'The option "heartbeat" must be a number; it is -1')
  t.equal(new errors.FST_SSE_UNKNOWN_OPTION('beat', 'try "heartbeat"').message, 'The option "beat" is not known here; try "heartbeat"')
  t.equal(new errors.FST_SSE_INVALID_SOURCE('12', 'give an Observable').message, '12 is not a source of events; give an Observable')
  t.match(new errors.FST_SSE_SOURCE_FAILED("'no'", { cause: 'no' }), { message: /failed with 'no', .*; throw an Error/, cause: 'no' })
  t.match(new errors.FST_SSE_CONTENT_TYPE("'text/html'"), { message: /"text\/event-stream"; it is 'text\/html': remove/ })
  t.match(new errors.FST_SSE_STATUS_CODE(204), { message: /204 does not: use 200/ })
  t.match(new errors.FST_SSE_OVERFLOW(7), { message: /"buffer\.maxBytes" allows, which is 7; raise it, choose another "buffer\.overflow"/ })
  t.match(new errors.FST_SSE_STALLED(7), { message: /"stallTimeout" allows, which is 7 ms/ })
  t.match(new errors.FST_SSE_MAX_CONNECTIONS(7), { message: /"maxConnections" allows, which is 7; try again later/ })
  t.match(new errors.FST_SSE_ALREADY_REGISTERED(), { message: /already registered .*; register it once/ })
})

t.test('Should leave a percent sign in a value alone', async (t) => {
  t.equal(new errors.FST_SSE_INVALID_MESSAGE('%s %d', 'no').message, '%s %d is not a message; no')
})
