import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions, SseValue } from '../../index.ts'
import { SharedEncoder } from '../../lib/server/shared-encoder.ts'
import type { Frame } from '../../lib/wire/frame.ts'
import { WriteBatch } from '../../lib/server/write-batch.ts'
import { Probe, buildApp, listen, portOf } from '../fixtures/app.ts'
import { Reader } from '../fixtures/slow.ts'

/** Makes a JSON serializer that counts its calls. */
function countingSerializer () {
  let count = 0
  return { serializer: (data: unknown) => { count++; return JSON.stringify(data) }, get count () { return count } }
}

function showAll (user: unknown): string {
  return JSON.stringify(user)
}

function hidePassword (user: unknown): string {
  return JSON.stringify({ ...user as object, password: undefined })
}

/** Serves one probe at `/`; a request for `/?name` has the options `named[name]`. */
async function serve (t: Test, options: SseOptions = {}, named: Readonly<Record<string, SseOptions>> = {}) {
  const probe = new Probe()
  const app = await buildApp(t, options)
  app.get('/', (request, reply) => reply.sse(probe.source, named[request.url.split('?')[1] ?? '']))
  await listen(app)
  return { probe, open: (count: number, path = '/') => Promise.all(Array.from({ length: count }, () => Reader.open(t, portOf(app), path))) }
}

async function received (clients: Reader[], count: number): Promise<string[][]> {
  return Promise.all(clients.map(async (client) => {
    await client.until(({ events }) => events.length >= count)
    return client.data
  }))
}

function times<T> (count: number, value: T): T[] {
  return Array.from({ length: count }, () => value)
}

t.test('Should encode a message once for all connections that get it', async (t) => {
  const counting = countingSerializer()
  const { probe, open } = await serve(t, { serializer: counting.serializer })
  const clients = await open(20)
  probe.next({ data: { n: 1 } })
  t.equal(counting.count, 1)
  probe.next({ data: { n: 2 } })
  probe.next([3])
  t.equal(counting.count, 3)
  t.same(await received(clients, 3), times(20, ['{"n":1}', '{"n":2}', '[3]']))
})

t.test('Should encode a message for each connection where it is not to be shared', async (t) => {
  const counting = countingSerializer()
  const { probe, open } = await serve(t, { serializer: counting.serializer, encodeOnce: false })
  const clients = await open(20)
  probe.next({ data: { n: 1 } })
  t.equal(counting.count, 20)
  t.same(await received(clients, 1), times(20, ['{"n":1}']))
})

t.test('Should send a message that is changed and emitted again as it is each time', async (t) => {
  const counting = countingSerializer()
  const { probe, open } = await serve(t, { serializer: counting.serializer })
  const clients = await open(10)
  const message = { data: { n: 1 }, id: 'a' }
  probe.next(message)
  message.data.n = 2
  probe.next(message)
  message.id = 'b'
  probe.next(message)
  message.data = { n: 3 }
  probe.next(message)
  const list = [1]
  probe.next(list)
  list.push(2)
  probe.next(list)
  t.equal(counting.count, 6)
  t.same(await received(clients, 6), times(10, ['{"n":1}', '{"n":2}', '{"n":2}', '{"n":3}', '[1]', '[1,2]']))
  t.same(clients[0]?.events.map(({ id }) => id), ['a', 'a', 'b', 'b', undefined, undefined])
})

t.test('Should see a field that is changed between two connections in one turn of the event loop', async (t) => {
  const app = await buildApp(t)
  const [one, other] = [new Probe(), new Probe()]
  app.get('/one', (_request, reply) => reply.sse(one.source))
  app.get('/other', (_request, reply) => reply.sse(other.source))
  await listen(app)
  const [oneClient, otherClient] = [await Reader.open(t, portOf(app), '/one'), await Reader.open(t, portOf(app), '/other')]
  const message = { data: 'before' }
  one.next(message)
  message.data = 'after'
  other.next(message)
  t.same(await received([oneClient, otherClient], 1), [['before'], ['after']])
})

t.test('Should see each of the five fields', async (t) => {
  const encoder = new SharedEncoder(new WriteBatch())
  const fields = { data: {}, id: 1, type: 'type', retry: 1, comment: 'comment' }
  const changes = { data: {}, id: '1', type: 'other', retry: 2, comment: '' }
  for (const [field, value] of Object.entries(changes)) {
    const message = { ...fields }
    const first = encoder.encode(message, JSON.stringify, { lastSequence: 0 })
    t.equal(encoder.encode(message, JSON.stringify, { lastSequence: 0 }), first)
    Object.assign(message, { [field]: value })
    t.not(encoder.encode(message, JSON.stringify, { lastSequence: 0 }), first, field)
  }
})

t.test('Should never send what one serializer gives to the clients of another', async (t) => {
  const { probe, open } = await serve(t, {}, { admin: { serializer: showAll }, user: { serializer: hidePassword } })
  const [admin, user, plain, secondUser] = [await open(2, '/?admin'), await open(2, '/?user'), await open(2), await open(2, '/?user')]
  for (let i = 0; i < 3; i++) probe.next({ data: { name: 'n', password: 'secret' } })
  const [secret, safe] = [times(2, times(3, '{"name":"n","password":"secret"}')), times(2, times(3, '{"name":"n"}'))]
  t.same(await received(admin, 3), secret)
  t.same(await received(plain, 3), secret)
  t.same(await received([...user, ...secondUser], 3), [...safe, ...safe])
})

t.test('Should run the serializer of a connection again where that of another threw', async (t) => {
  const { probe, open } = await serve(t, { onError: () => 'sorry' }, { bad: { serializer: () => { throw new Error('no') } } })
  const [bad, good] = [await open(2, '/?bad'), await open(2)]
  probe.next({ data: { n: 1 } })
  t.same(await received([...bad, ...good], 1), [...times(2, ['sorry']), ...times(2, ['{"n":1}'])])
})

t.test('Should forget a message when the turn of the event loop ends', async (t) => {
  const counting = countingSerializer()
  const { probe, open } = await serve(t, { serializer: counting.serializer })
  const clients = await open(3)
  const message = { data: { n: 1 } }
  probe.next(message)
  // The turn lasts as long as there are microtasks.
  await Promise.resolve()
  t.equal(counting.count, 1)
  await received(clients, 1)
  message.data.n = 2
  const [late] = await open(1)
  probe.next(message)
  t.equal(counting.count, 2)
  await late?.until(({ events }) => events.length === 1)
  t.same(late?.data, ['{"n":2}'])
})

t.test('Should share within one turn of the event loop, and keep nothing after it', async (t) => {
  const batch = new WriteBatch()
  const encoder = new SharedEncoder(batch)
  const recipients = Array.from({ length: 3 }, () => ({ lastSequence: 0 }))
  const encode = (value: SseValue): Array<Frame | null> => recipients.map((recipient) => encoder.encode(value, JSON.stringify, recipient))
  const message = { data: { n: 1 } }
  const [first, second, third] = encode(message)
  t.equal(first, second)
  t.equal(first, third)
  t.equal(first?.chunk, second?.chunk, 'its bytes are made once')
  t.not(encode(message)[0], first, 'seen again by the same connection')
  batch.flush()
  const [anew] = encode(message)
  t.not(anew, first)
  batch.flush()

  const late = { lastSequence: 0 }
  t.not(encoder.encode(message, JSON.stringify, late), anew, 'forgotten')
  batch.flush()
})

t.test('Should share what writes nothing', async (t) => {
  const encoder = new SharedEncoder(new WriteBatch())
  t.equal(encoder.encode({}, JSON.stringify, { lastSequence: 0 }), null)
})
