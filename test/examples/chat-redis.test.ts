import t from 'tap'
import type { Test } from 'tap'
import { launchChromium } from '../fixtures/browser.ts'
import { ChatPage, Listener, post, postUntilTaken, startChat } from '../fixtures/chat.ts'
import { noSignals } from '../fixtures/program.ts'
import { RedisServer } from '../fixtures/redis.ts'
import { isMissing } from '../fixtures/tool.ts'
import { waitUntil } from '../fixtures/waits.ts'

t.setTimeout(240_000)

t.test('On Redis', { skip: noSignals || isMissing('redis-server') }, async (t) => {
  const { url: REDIS_URL } = await RedisServer.start(t)

  t.test('Should go on in another process, on another port, with the same rooms', async (t) => {
    const [one, other] = [await startChat(t, { REDIS_URL }), await startChat(t, { REDIS_URL })]
    const listener = await Listener.open(t, one.address, 'ports')
    const { body: { id } } = await post(other.address, 'ports', { name: 'Ada', text: 'first' })
    await post(one.address, 'ports', { name: 'Ada', text: 'second' })
    t.match(await listener.messages(2), [{ text: 'first' }, { text: 'second' }])
    t.strictSame(await one.end('SIGINT'), { code: 0, stderr: '' })
    const resumed = await Listener.open(t, other.address, 'ports', { headers: { 'last-event-id': String(id) } })
    t.not(resumed.pid, listener.pid)
    t.match(await resumed.messages(1), [{ text: 'second' }])
    t.strictSame(await other.end('SIGTERM'), { code: 0, stderr: '' })
  })

  t.test('Should run three processes behind one port, and start another when one dies', async (t) => {
    const { address, end } = await startChat(t, { REDIS_URL, PROCESSES: '3' })
    const first = await findPids(t, address, 3)
    const [killed = 0] = first
    process.kill(killed, 'SIGKILL')
    const second = await findPids(t, address, 3, killed)
    t.equal([...second].filter((pid) => first.has(pid)).length, 2)

    const listener = await Listener.open(t, address, 'processes')
    t.strictSame(await end('SIGINT'), { code: 0, stderr: '' })
    await t.rejects(listener.take(1))
    for (const pid of second) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  })

  t.test('Should end with code 1 when a process cannot listen', async (t) => {
    const { address } = await startChat(t, { REDIS_URL })
    await t.rejects(
      startChat(t, { REDIS_URL, PROCESSES: '2', PORT: new URL(address).port }), { message: /no address: .*EADDRINUSE/s })
  })

  t.test('In Chromium', { skip: isMissing('chromium') }, async (t) => {
    const browser = await launchChromium(t)

    t.test('Should have each message once when the process that serves the page is killed', async (t) => {
      const { address, end } = await startChat(t, { REDIS_URL, PROCESSES: '3' })
      const [chat, other] = [await ChatPage.open(browser, address, 'killed'), await ChatPage.open(browser, address, 'killed')]
      const pid = await chat.pid()
      const texts = Array.from({ length: 300 }, (_, i) => `message-${i}`)
      const waiting = [...texts]
      let killed = false
      const postOthers = async () => {
        for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) {
          await postUntilTaken(address, 'killed', text)
          if (killed || waiting.length > 200) continue
          killed = true
          process.kill(pid, 'SIGKILL')
        }
      }
      const posted = Promise.all(Array.from({ length: 4 }, postOthers))
      await chat.write('from the page')
      await posted

      t.not(await chat.pid(pid), pid)
      const seen = await chat.texts(301)
      t.strictSame(seen.toSorted(), [...texts, 'from the page'].toSorted())
      t.strictSame(await other.texts(301), seen, 'in the same order as on a page that stayed')
      t.match(await chat.notes(), [/^Process \d+ serves this page now\.$/])
      t.strictSame(await end('SIGTERM'), { code: 0, stderr: '' })
    })
  })
})

/** Finds the processes behind a port: waits until there are so many without the one that was killed. */
async function findPids (t: Test, address: string, count: number, killed = 0): Promise<Set<number>> {
  const pids = new Set<number>()
  await waitUntil(async () => {
    // It may be asked while it dies.
    const listener = await Listener.open(t, address, 'processes').catch(() => null)
    listener?.leave()
    if (listener !== null && listener.pid !== killed) pids.add(listener.pid)
    return pids.size === count
  })
  return pids
}
