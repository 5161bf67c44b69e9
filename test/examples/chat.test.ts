import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLog, EventLogFilter, MessageEvent } from '../../index.ts'
import { build } from '../../examples/chat/app.ts'
import { HISTORY } from '../../examples/chat/rooms.ts'
import type { ChatMessage } from '../../examples/chat/rooms.ts'
import { closeAtEnd, listen } from '../fixtures/app.ts'
import { Listener, post, startChat } from '../fixtures/chat.ts'
import { noSignals } from '../fixtures/program.ts'
import { freePort } from '../fixtures/redis.ts'
import { Waitable, fetch, once, within } from '../fixtures/waits.ts'

t.setTimeout(240_000)

t.test('Should tell who serves, then the history, and then what comes', async (t) => {
  const { address } = await startChat(t)
  const before = Date.now()
  const { status, body: { id } } = await post(address, 'lobby', { name: 'Ada', text: 'one\ntwo', key: 'k-1' })
  t.equal(status, 201)
  const listeners = [await Listener.open(t, address, 'lobby'), await Listener.open(t, address, 'lobby')]
  await post(address, 'lobby', { name: 'Grace', text: '<b>three</b>' })
  for (const listener of listeners) {
    t.ok(listener.pid > 0 && listener.pid !== process.pid)
    const [first, second] = await listener.take(2)
    t.match(first, { id, event: undefined })
    const message = JSON.parse(first?.data ?? '')
    t.match(message, { name: 'Ada', text: 'one\ntwo', key: 'k-1' })
    t.ok(message.time >= before && message.time <= Date.now())
    t.match(JSON.parse(second?.data ?? ''), { name: 'Grace', text: '<b>three</b>', key: /^[\w-]{36}$/ })
  }
})

t.test('Should go on after the last message that a client has seen', async (t) => {
  const { address } = await startChat(t)
  const ids = []
  for (const text of ['one', 'two', 'three']) ids.push((await post(address, 'lobby', { name: 'Ada', text })).body.id)
  const byHeader = await Listener.open(t, address, 'lobby', { headers: { 'last-event-id': String(ids[0]) } })
  t.match(await byHeader.messages(2), [{ text: 'two' }, { text: 'three' }])
  const byQuery = await Listener.open(t, address, 'lobby', { query: `?lastEventId=${ids[1]}` })
  t.match(await byQuery.messages(1), [{ text: 'three' }])
  const foreign = await Listener.open(t, address, 'lobby', { headers: { 'last-event-id': 'of-another-server' } })
  t.match(await foreign.take(4), [{ event: 'gap' }, { id: ids[0] }, { id: ids[1] }, { id: ids[2] }])
})

t.test('Should keep rooms apart', async (t) => {
  const { address } = await startChat(t)
  const [lobby, garden] = [await Listener.open(t, address, 'lobby'), await Listener.open(t, address, 'garden')]
  await post(address, 'garden', { name: 'Ada', text: 'in the garden' })
  await post(address, 'lobby', { name: 'Ada', text: 'in the lobby' })
  t.match(await lobby.messages(1), [{ text: 'in the lobby' }])
  t.match(await garden.messages(1), [{ text: 'in the garden' }])
})

t.test('Should refuse what is no message, and what is no room', async (t) => {
  const { app } = await start(t)
  const good = { name: 'Ada', text: 'Hello' }
  for (const [room, payload, status] of [
    ['lobby', good, 201],
    ['a'.repeat(32), { ...good, name: '€'.repeat(32), text: '\u0001'.repeat(999) + 'x', key: 'k'.repeat(64) }, 201],
    ['lobby', { name: 'Ada' }, 400],
    ['lobby', { text: 'Hello' }, 400],
    ['lobby', { ...good, name: '' }, 400],
    ['lobby', { ...good, text: ' \n ' }, 400],
    ['lobby', { ...good, name: 'x'.repeat(33) }, 400],
    ['lobby', { ...good, text: 'x'.repeat(1001) }, 400],
    ['lobby', { ...good, key: 'k'.repeat(65) }, 400],
    ['lobby', { ...good, key: 'a key' }, 400],
    ['lobby', { ...good, text: { bold: true } }, 400],
    ['lobby', { ...good, text: 'x'.repeat(17 * 1024) }, 413],
    ['a'.repeat(33), good, 400],
    ['-', good, 400],
    ['Lobby', good, 400],
    ['a%2Fb', good, 400]
  ] as const) {
    const { statusCode } = await app.inject({ method: 'POST', url: `/rooms/${room}/messages`, payload })
    t.equal(statusCode, status, `${room} ${JSON.stringify(payload).slice(0, 80)}`)
  }
  t.equal((await app.inject('/rooms/Lobby/events')).statusCode, 400)
})

t.test('Should serve the page, which runs nothing but its own scripts', async (t) => {
  const { app } = await start(t)
  const page = await app.inject('/')
  t.equal(page.headers['content-security-policy'], "default-src 'self'; img-src data:")
  t.notMatch(page.body, /\son\w+=|style=/)
  for (const [, path] of page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
    t.equal((await app.inject(String(path))).statusCode, 200, String(path))
  }
})

t.test('Should forget the room that has been empty for longest when there are too many', async (t) => {
  const { address, log, logs } = await start(t, 2)
  for (const room of ['one', 'two', 'one', 'three']) await post(address, room, { name: 'Ada', text: room })
  t.strictSame([...logs.keys()], ['one', 'two', 'three'])
  const one = await Listener.open(t, address, 'one')
  t.match(await one.messages(2), [{ text: 'one' }, { text: 'one' }])
  const two = await Listener.open(t, address, 'two')
  await post(address, 'two', { name: 'Ada', text: 'anew' })
  t.match(await two.messages(1), [{ text: 'anew' }])

  const refused = await fetch(`${address}/rooms/three/events`)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { code: 'CHAT_ROOMS_FULL', message: /in each of 2 rooms/ })
  t.equal((await post(address, 'three', { name: 'Ada', text: 'no' })).status, 503)

  one.leave()
  await log('one').until(({ readers }) => readers === 0)
  t.equal((await post(address, 'three', { name: 'Ada', text: 'yes' })).status, 201)
})

t.test('Should let go of a reader at once, however quiet the room is', async (t) => {
  const { address, log } = await start(t)
  const listeners = [await Listener.open(t, address, 'lobby'), await Listener.open(t, address, 'lobby')]
  await log('lobby').until(({ readers }) => readers === 2)
  for (const listener of listeners) listener.leave()
  await log('lobby').until(({ readers }) => readers === 0)
})

t.test('Should end on SIGINT with a stream open', { skip: noSignals }, async (t) => {
  const { address, end } = await startChat(t)
  const listener = await Listener.open(t, address, 'lobby')
  t.strictSame(await end('SIGINT'), { code: 0, stderr: '' })
  await t.rejects(listener.take(1), { message: 'the stream has ended' })
})

t.test('Should say what is wrong with the environment', async (t) => {
  const file = fileURLToPath(new URL('../../examples/chat/server.js', import.meta.url))
  const run = (env: NodeJS.ProcessEnv) =>
    within(promisify(execFile)(process.execPath, [file], { env: { ...process.env, ...env } }), 'the end of the chat')
  const stderr = 'PROCESSES=3 needs REDIS_URL: what one process has in its memory, the others do not see\n'
  await t.rejects(run({ PROCESSES: '3' }), { code: 1, stdout: '', stderr })
  for (const PROCESSES of ['0', '1.5', 'many', '65']) {
    await t.rejects(run({ PROCESSES }), { code: 1, stderr: /^PROCESSES must be a whole number from 1 to 64; it is / })
  }
})

t.test('Should say that Redis is away, once, and wait for it', async (t) => {
  const file = fileURLToPath(new URL('../../examples/chat/server.js', import.meta.url))
  const REDIS_URL = `redis://:secret@127.0.0.1:${await freePort()}`
  const child = execFile(process.execPath, [file], { env: { ...process.env, PORT: '0', REDIS_URL } })
  t.teardown(async () => {
    const close = once(child, 'close')
    child.kill('SIGKILL')
    await close
  })
  const [line] = await once(child.stderr ?? child, 'data')
  t.match(line, /^Redis cannot be reached, trying again: .*ECONNREFUSED.*\n$/)
  t.notMatch(line, /secret/)
  t.equal(child.exitCode, null)
})

/** A log that counts its readers. */
class Counted extends Waitable implements EventLog<ChatMessage> {
  readers = 0
  readonly #log = new MemoryEventLog<ChatMessage>(HISTORY)

  append (message: Parameters<EventLog<ChatMessage>['append']>[0]): Promise<string> {
    return this.#log.append(message)
  }

  readonly after = ((lastEventId?: string, options?: EventLogFilter<ChatMessage>) =>
    this.#counted(this.#log.after(lastEventId, options))) as EventLog<ChatMessage>['after']

  async * #counted (events: AsyncIterable<MessageEvent<ChatMessage>>) {
    this.#count(1)
    try {
      yield * events
    } finally {
      this.#count(-1)
    }
  }

  #count (by: number): void {
    this.readers += by
    this.changed()
  }
}

async function start (t: Test, maxRooms?: number) {
  const logs = new Map<string, Counted>()
  const app = await build({
    openLog (room) {
      const log = new Counted()
      logs.set(room, log)
      return log
    },
    close: async () => {}
  }, maxRooms)
  closeAtEnd(t, app)
  const address = await listen(app)
  const log = (room: string): Counted => {
    const log = logs.get(room)
    if (log === undefined) throw new Error(`nobody has been in ${room}`)
    return log
  }
  return { app, address, logs, log }
}
