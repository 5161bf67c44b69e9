import type { Socket } from 'node:net'
import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import type { EventLogOptions } from '../../index.ts'
import { buildApp, listen } from '../fixtures/app.ts'
import { launchChromium, openTab, servePage } from '../fixtures/browser.ts'
import { isMissing } from '../fixtures/tool.ts'
import { deferred, immediate, within } from '../fixtures/waits.ts'

t.setTimeout(240_000)

t.test('In Chromium', { skip: isMissing('chromium') }, async (t) => {
  const browser = await launchChromium(t)

  const open = async (t: Parameters<typeof buildApp>[0], options: EventLogOptions) => {
    const app = await buildApp(t)
    servePage(app)
    const log = new MemoryEventLog<number>(options)
    const asked: Array<string | undefined> = []
    const sockets: Socket[] = []
    let opened = deferred<void>()
    app.get('/sse', (request, reply) => {
      asked.push(request.lastEventId)
      sockets.push(request.raw.socket)
      return reply.sse(log, { retry: 0, heartbeat: 20, onOpen: () => opened.resolve() })
    })
    const tab = await openTab(t, browser, await listen(app))
    return {
      log,
      asked,
      connect: () => tab.connect('/sse', ['gap']),
      watchForBeats: () => tab.watchFor(':\n\n', 3),
      /** Cuts the connection. */
      cut: () => {
        opened = deferred()
        sockets.pop()?.destroy()
      },
      opened: () => within(opened.promise, 'onOpen')
    }
  }

  t.test('Should miss nothing and see nothing twice, cut off again and again', async (t) => {
    const { log, asked, connect, cut, opened } = await open(t, { from: 'start' })
    const fired = await connect()
    const total = 200
    for (let n = 0; n < total; n++) {
      await log.append(n)
      if (n % 40 === 20) {
        if (n % 80 === 20) await fired.until(({ events }) => events.length > n)
        await opened()
        cut()
      }
      await immediate()
    }
    await fired.until(({ events }) => events.length >= total)
    t.same(fired.events, Array.from({ length: total }, (_item, n) => ['message', String(n)]))
    t.ok(asked.length > 3, `${asked.length} requests`)
    t.ok(asked.slice(1).some((id) => id !== undefined))
  })

  t.test('Should miss nothing, cut off before its first event', async (t) => {
    const { log, asked, connect, cut, watchForBeats } = await open(t, { from: 'now' })
    const id = await log.append(0)
    // Heartbeats come behind the id.
    const { received } = await watchForBeats()
    const fired = await connect()
    await within(received, 'three heartbeats in the browser')
    cut()
    await log.append(1)
    await log.append(2)
    await fired.until(({ events }) => events.length === 2)
    t.same(fired.events, [['message', '1'], ['message', '2']])
    t.same(asked, [undefined, id])
  })

  t.test('Should see a gap where the log has gone on without it', async (t) => {
    const { log, connect, cut, opened } = await open(t, { maxEvents: 2 })
    const fired = await connect()
    await opened()
    const first = await log.append(0)
    await fired.until(({ events }) => events.length === 1)
    cut()
    for (const n of [1, 2, 3, 4]) await log.append(n)
    await fired.until(({ events }) => events.length === 4)
    const [before, gap, ...after] = fired.events
    t.same(before, ['message', '0'])
    t.equal(gap?.[0], 'gap')
    t.match(JSON.parse(String(gap?.[1])), { lastEventId: first })
    t.same(after, [['message', '3'], ['message', '4']])
  })
})
