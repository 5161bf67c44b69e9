import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Locator } from 'playwright-core'
import { MemoryEventLog } from '../../index.ts'
import { build } from '../../examples/chat/app.ts'
import { HISTORY } from '../../examples/chat/rooms.ts'
import type { ChatMessage } from '../../examples/chat/rooms.ts'
import { closeAtEnd, listen } from '../fixtures/app.ts'
import { launchChromium } from '../fixtures/browser.ts'
import { ChatPage, Listener, post, startChat } from '../fixtures/chat.ts'
import { isMissing } from '../fixtures/tool.ts'
import { waitUntil } from '../fixtures/waits.ts'

t.setTimeout(240_000)

t.test('In Chromium', { skip: isMissing('chromium') }, async (t) => {
  const browser = await launchChromium(t)

  t.test('Should show two people what each of them writes, as text', async (t) => {
    const { address } = await startChat(t)
    const [ada, grace] = [await ChatPage.open(browser, address), await ChatPage.open(browser, address)]
    await ada.page.getByLabel('Your name').fill('Ada')
    await ada.write('Hello <img src=x onerror=alert(1)>')
    t.strictSame(await grace.texts(1), ['Hello <img src=x onerror=alert(1)>'])
    await grace.page.getByLabel('Your name').fill('<b>Grace</b>')
    await grace.page.getByLabel('Message', { exact: true }).pressSequentially('two')
    await grace.page.keyboard.press('Shift+Enter')
    await grace.page.keyboard.type('lines')
    await grace.page.keyboard.press('Enter')
    for (const chat of [ada, grace]) {
      t.strictSame(await chat.texts(2), ['Hello <img src=x onerror=alert(1)>', 'two\nlines'])
      t.strictSame(await chat.page.locator('.message .name').allTextContents(), ['Ada', '<b>Grace</b>'])
      t.strictSame(await chat.page.locator('.mine .name').allTextContents(), [chat === ada ? 'Ada' : '<b>Grace</b>'])
      t.equal(await chat.page.getByLabel('Message', { exact: true }).inputValue(), '')
      t.strictSame(chat.complaints, [])
    }
  })

  t.test('Should have the history after a reload, its own messages among it, and fit a phone', async (t) => {
    const { address } = await startChat(t)
    const words = Array.from({ length: 40 }, (_, i) => `${i} ${'unbreakable'.repeat(i)}`)
    for (const text of words) await post(address, 'lobby', { name: 'W'.repeat(32), text })
    const chat = await ChatPage.open(browser, address)
    await chat.write('mine')
    await chat.texts(41)
    await chat.page.reload()
    t.strictSame(await chat.texts(41), [...words, 'mine'])
    t.strictSame(await chat.page.locator('.mine > p').allTextContents(), ['mine'])
    t.equal(await chat.page.evaluate('document.documentElement.scrollWidth'), 360)
    t.equal(await chat.page.evaluate('document.getElementById("messages").scrollWidth'), 360)
    t.equal(await chat.page.evaluate('document.documentElement.scrollHeight'), 740)
    t.strictSame(chat.complaints, [])
  })

  t.test('Should stay where its reader is, and lead to the newest', async (t) => {
    const { address } = await startChat(t)
    for (let i = 0; i < 30; i++) await post(address, 'lobby', { name: 'Ada', text: `${i}` })
    const { page, complaints } = await ChatPage.open(browser, address)
    await page.locator('.message').nth(29).waitFor()
    const last = page.locator('.message').last()
    await whenInView(last, true)
    await page.locator('#messages').focus()
    await page.keyboard.press('Home')
    await whenInView(last, false)
    // The page is told that it was scrolled with the next frame.
    await page.evaluate('new Promise((resolve) => { requestAnimationFrame(() => { requestAnimationFrame(resolve) }) })')
    await post(address, 'lobby', { name: 'Ada', text: 'unseen' })
    const newest = page.getByRole('button', { name: 'Newest messages' })
    await newest.waitFor()
    await whenInView(last, false)
    await newest.click()
    await whenInView(last, true)
    await newest.waitFor({ state: 'hidden' })
    t.strictSame(complaints, [])
  })

  t.test('Should switch rooms', async (t) => {
    const { address } = await startChat(t)
    for (const room of ['lobby', 'garden', 'attic-2']) await post(address, room, { name: 'Ada', text: `in the ${room}` })
    const chat = await ChatPage.open(browser, address)
    t.strictSame(await chat.texts(1), ['in the lobby'])
    await chat.page.getByRole('link', { name: 'garden' }).click()
    await chat.page.getByText('in the garden').waitFor()
    t.strictSame(await chat.texts(1), ['in the garden'])
    await chat.page.getByLabel('Another room').fill('attic-2')
    await chat.page.keyboard.press('Enter')
    await chat.page.getByText('in the attic-2').waitFor()
    t.equal(await chat.page.locator('h1').innerText(), '#attic-2')
    t.strictSame(await chat.page.locator('nav [aria-current=page]').allTextContents(), ['attic-2'])
    await post(address, 'garden', { name: 'Ada', text: 'not here' })
    await chat.write('here')
    t.strictSame(await chat.texts(2), ['in the attic-2', 'here'])
    await chat.page.goBack()
    await chat.page.getByText('not here').waitFor()
    t.strictSame(await chat.texts(2), ['in the garden', 'not here'])
    t.strictSame(chat.complaints, [])
  })

  t.test('Should come back by itself, and have each message once', async (t) => {
    const { app, address } = await startHere(t)
    const chat = await ChatPage.open(browser, address)
    const said: string[] = []
    const say = async (text: string) => {
      said.push(text)
      await app.inject({ method: 'POST', url: '/rooms/lobby/messages', payload: { name: 'Ada', text } })
    }
    for (let round = 0; round < 3; round++) {
      await say(`${round} seen`)
      await chat.texts(said.length)
      app.server.closeAllConnections()
      await say(`${round} while it was away`)
      await chat.untilState('reconnecting')
      await chat.untilState('live')
      t.strictSame(await chat.texts(said.length), said)
    }
    t.strictSame(await chat.notes(), [])
    t.equal(await chat.pid(), process.pid)
  })

  t.test('Should show a gap where the server has forgotten', async (t) => {
    const before = await startChat(t)
    const chat = await ChatPage.open(browser, before.address)
    await chat.write('before')
    await chat.texts(1)
    const pid = await chat.pid()
    await before.end('SIGKILL')
    await chat.untilState('reconnecting')
    const after = await startChat(t, { PORT: new URL(before.address).port })
    t.not(await chat.pid(pid), pid)
    await post(after.address, 'lobby', { name: 'Ada', text: 'after' })
    t.strictSame(await chat.texts(2), ['before', 'after'])
    t.match(await chat.notes(), [/^Process \d+ serves this page now\.$/, /^Messages are missing here/])
    t.equal(await chat.page.locator('.gap + .message > p').innerText(), 'after')
  })

  t.test('Should send again what may not have arrived, and show it once', async (t) => {
    let posts = 0
    let isAnswering = false
    const { address } = await startHere(t, (app) => app.addHook('onSend', async (request, reply) => {
      if (request.method !== 'POST') return
      posts++
      // The message is taken, and the answer does not arrive.
      if (!isAnswering) reply.raw.destroy()
    }))
    const chat = await ChatPage.open(browser, address)
    await chat.write('once')
    await chat.page.getByText('Not sent yet').waitFor()
    isAnswering = true
    await chat.page.getByText('Not sent yet').waitFor({ state: 'hidden' })
    await chat.write('twice')
    t.strictSame(await chat.texts(2), ['once', 'twice'])
    t.ok(posts > 2)
    const listener = await Listener.open(t, address, 'lobby')
    const taken = (await listener.messages(posts)).map(({ text }) => text)
    t.strictSame(taken, taken.map((_text, i) => i < posts - 1 ? 'once' : 'twice'))
    t.comment(`${posts} posts`)
  })

  t.test('Should say why a message was not taken, and keep it', async (t) => {
    const { address } = await startHere(t, (app) => app.addHook('preHandler', async (request, reply) => {
      if (request.method === 'POST') return reply.code(403).send({ message: 'you are not to speak' })
    }))
    const chat = await ChatPage.open(browser, address)
    await chat.write('Hello')
    await chat.page.getByRole('alert').getByText('Not sent: you are not to speak.').waitFor()
    t.equal(await chat.page.getByLabel('Message', { exact: true }).inputValue(), 'Hello')
  })

  t.test('Should ask again for a room that was refused', async (t) => {
    const { app, address } = await startHere(t, () => {}, 1)
    const chat = await ChatPage.open(browser, address)
    await chat.page.clock.install()
    const listener = await Listener.open(t, address, 'lobby')
    await chat.page.getByRole('link', { name: 'garden' }).click()
    await chat.untilState('refused')
    listener.leave()
    await waitUntil(() => app.sse.size === 0)
    await chat.page.clock.runFor(5000)
    await chat.untilState('live')
  })
})

/** The chat in this process, which the test can get at. */
async function startHere (t: Test, prepare: (app: FastifyInstance) => void = () => {}, maxRooms?: number) {
  const app = await build(memory, maxRooms)
  closeAtEnd(t, app)
  prepare(app)
  return { app, address: await listen(app) }
}

/** Waits until an element can be seen without scrolling, or cannot. */
async function whenInView (locator: Locator, expected: boolean): Promise<void> {
  await waitUntil(async () => await locator.evaluate(look) === expected)
}

/** Its text runs in the browser. */
function look (element: unknown): unknown {
  return new Promise((resolve) => {
    // @ts-expect-error There are no types of the browser's here.
    new IntersectionObserver(([entry]) => resolve(entry.isIntersecting)).observe(element)
  })
}

const memory = { openLog: () => new MemoryEventLog<ChatMessage>(HISTORY), close: async () => {} }
