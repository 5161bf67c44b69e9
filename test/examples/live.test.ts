import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { Page } from 'playwright-core'
import { eventsOf } from '../fixtures/app.ts'
import { launchChromium } from '../fixtures/browser.ts'
import { noSignals, startProgram } from '../fixtures/program.ts'
import type { Program } from '../fixtures/program.ts'
import { isMissing } from '../fixtures/tool.ts'
import { fetch, once } from '../fixtures/waits.ts'

t.setTimeout(240_000)

/** The example as `npm start` runs it. */
function startExample (t: Test): Promise<Program> {
  return startProgram(t, 'live/server.js', /^Two live streams at http:\/\/localhost:(\d+)\n$/)
}

/** A stream that is left when the test ends. */
async function follow (t: Test, url: string, headers: Record<string, string> = {}) {
  const controller = new AbortController()
  t.teardown(() => controller.abort())
  return eventsOf(await fetch(url, { headers, signal: controller.signal }))
}

t.test('Should show the README\'s first program', async (t) => {
  const [readme, basic] = await Promise.all(['README.md', 'examples/basic.ts'].map((path) =>
    readFile(new URL(`../../../${path}`, import.meta.url), 'utf8')))
  const [, program] = /```js\n(.*?)```/s.exec(readme ?? '') ?? []
  // This repository's compiler wants a mark on parameters that are not used.
  t.equal(basic?.replace('_request', 'request'), program)
})

t.test('Should stream ticks, and go on after the last one that a client has seen', async (t) => {
  const { address } = await startExample(t)
  const streams = await Promise.all([
    follow(t, `${address}/ticks`),
    follow(t, `${address}/ticks`, { 'last-event-id': '41' }),
    follow(t, `${address}/ticks?lastEventId=7`)
  ])
  const first = await Promise.all(streams.map(async (stream) => (await stream.next()).value))
  t.match(first, ['1', '42', '8'].map((id) => ({ id, event: undefined, data: '{"hello":"world"}' })))
})

t.test('Should stream the same measurements to all who watch, and end on SIGTERM', { skip: noSignals }, async (t) => {
  const { address, end } = await startExample(t)
  const streams = [await follow(t, `${address}/vitals`), await follow(t, `${address}/vitals`)]
  const [one, other] = await Promise.all(streams.map(async (stream) => (await stream.next()).value))
  t.same(one, other)
  t.equal(one?.event, 'vitals')
  t.match(one?.id, /^\d+$/)
  const vitals = JSON.parse(one?.data ?? '')
  t.strictSame(Object.keys(vitals), ['cpu', 'rss', 'heap', 'lag', 'streams'])
  t.ok(vitals.cpu >= 0 && vitals.lag >= 0 && vitals.rss > vitals.heap && vitals.heap > 1e6, String(one?.data))
  t.equal(vitals.streams, 2)

  // As browsers do: a socket that is opened ahead of need.
  const idle = connect(Number(new URL(address).port), '127.0.0.1').on('error', () => {})
  t.teardown(() => idle.destroy())
  await once(idle, 'connect')
  const start = performance.now()
  const { code, stderr } = await end('SIGTERM')
  const duration = performance.now() - start
  t.equal(code, 0)
  t.equal(stderr, '')
  t.ok(duration < 1000, `ended after ${duration} ms`)
  for (const stream of streams) for await (const { event } of stream) t.equal(event, 'vitals')
})

t.test('In Chromium', { skip: isMissing('chromium') }, async (t) => {
  const { address, end } = await startExample(t)
  const browser = await launchChromium(t)
  const page = await browser.newPage({ viewport: { width: 360, height: 740 } })
  page.setDefaultTimeout(10_000)
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(address)
  await untilState(page, 'ticks', 'open')
  await untilState(page, 'vitals', 'open')

  t.test('Should draw each chart, and count what arrives', async (t) => {
    for (const key of ['cpu', 'rss', 'heap', 'lag']) {
      await page.locator(`path.line.${key}[d*=L]`).waitFor({ state: 'attached' })
      const { width, height } = await page.locator(`path.area.${key}`).evaluate((path) => path.getBoundingClientRect())
      t.ok(width > 0 && height > 0, `${key}: ${width} × ${height}`)
      t.match(await page.locator(`[data-value=${key}]`).textContent(), /^\d+(\.\d)? (%|MB|ms)$/)
    }
    await page.locator('#streams', { hasText: /^2$/ }).waitFor()
    await page.locator('#ticks .id', { hasText: /^[1-9]/ }).waitFor()
    t.match(await page.locator('#log li').last().innerText(), /^1\s+\{"hello":"world"\}\s/)
    t.ok(Number(await page.locator('#vitals .count').textContent()) > 1)
  })

  t.test('Should fit a phone', async (t) => {
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
  })

  t.test('Should close and reopen ticks, and go on after the last one', async (t) => {
    await page.getByRole('button', { name: 'Close /ticks' }).click()
    await untilState(page, 'ticks', 'closed')
    await page.locator('#streams', { hasText: /^1$/ }).waitFor()
    const last = Number(await page.locator('#ticks .id').textContent())
    await page.getByRole('button', { name: 'Reopen /ticks' }).click()
    await untilState(page, 'ticks', 'open')
    const ids = page.locator('#log li :first-child')
    await ids.filter({ hasText: new RegExp(`^${last + 1}$`) }).waitFor()
    const seen = await ids.allTextContents()
    t.same(seen, seen.map((_id, i) => String(seen.length - i)), 'none twice, and none left out')
  })

  t.test('Should close and reopen vitals', async (t) => {
    await page.getByRole('button', { name: 'Close /vitals' }).click()
    await untilState(page, 'vitals', 'closed')
    const closed = Number(await page.locator('#vitals .count').textContent())
    t.equal(await page.locator('#streams').textContent(), '–')
    await page.getByRole('button', { name: 'Reopen /vitals' }).click()
    await untilState(page, 'vitals', 'open')
    await page.waitForFunction(`Number(document.querySelector('#vitals .count').textContent) > ${closed}`)
    await page.locator('#streams', { hasText: /^2$/ }).waitFor()
  })

  t.test('Should end on SIGINT with the page open, which then waits for it to come back', { skip: noSignals }, async (t) => {
    t.same(complaints, [])
    const start = performance.now()
    const { code, stderr } = await end('SIGINT')
    const duration = performance.now() - start
    t.equal(code, 0)
    t.equal(stderr, '')
    t.ok(duration < 1000, `ended after ${duration} ms`)
    await untilState(page, 'ticks', 'connecting')
    await untilState(page, 'vitals', 'connecting')
  })
})

function untilState (page: Page, panel: string, state: string): Promise<void> {
  return page.locator(`#${panel} [role=status] b`, { hasText: new RegExp(`^${state}$`) }).waitFor()
}
