import t from 'tap'
import { Observable } from 'rxjs'
import type { Test } from 'tap'
import { openOneRoute } from '../fixtures/one-route.ts'
import type { OneRoute } from '../fixtures/one-route.ts'
import { fillKernel } from '../fixtures/slow.ts'
import { deferred, immediate, within } from '../fixtures/waits.ts'

const MEGABYTE = 'x'.repeat(2 ** 20)

/** More than the kernel takes for a client that does not read. */
const MEGABYTES = 16

const ROOMY = { maxBytes: 64 * 2 ** 20 }

/** Asks for the stream, and stops reading. */
async function stall (t: Test, { client, probe, raw }: OneRoute): Promise<void> {
  client.get('/')
  await client.until(/:\n\n/)
  client.socket.pause()
  await fillKernel(probe, MEGABYTES * MEGABYTE.length)
  const { socket } = await raw()
  t.ok(socket !== null && socket.writableLength > 0, 'bytes wait in Node')
}

t.test('Should unsubscribe in the turn in which a client leaves that has stopped reading', async (t) => {
  const route = await openOneRoute(t, { buffer: ROOMY })
  const { app, client, probe, atClose, reasons } = route
  await stall(t, route)
  t.same([probe.unsubscribed, app.sse.size], [0, 1])
  client.socket.destroy()
  t.equal(await atClose(), 1)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['client'])
})

t.test('Should keep what waits in the stream, and not in the response', async (t) => {
  const route = await openOneRoute(t, { buffer: ROOMY })
  await stall(t, route)
  const { writableLength } = await route.raw()
  t.ok(writableLength < 2 * 2 ** 20, `${writableLength} bytes wait in the response`)
})

t.test('Should let go of a source that completes while its client has stopped reading', async (t) => {
  const route = await openOneRoute(t, { buffer: ROOMY })
  const { app, client, probe, atClose, reasons } = route
  await stall(t, route)
  probe.complete()
  t.same([probe.unsubscribed, app.sse.size, reasons], [1, 1, []])

  client.socket.destroy()
  await atClose()
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['client'], 'it did not see the end')
})

t.test('Should send a client that reads again all that waited, and the end', async (t) => {
  const route = await openOneRoute(t, { buffer: ROOMY })
  const { app, client, probe, atClose, reasons } = route
  await stall(t, route)
  probe.complete()
  client.socket.resume()
  await atClose()
  await client.until(/\r\n0\r\n\r\n$/)
  t.equal(client.text.match(/data: /g)?.length, MEGABYTES)
  t.ok(client.text.length > MEGABYTES * MEGABYTE.length)
  t.same([probe.unsubscribed, app.sse.size], [1, 0])
  t.same(reasons, ['complete'])
})

t.test('Should let go once of a source that emits too much while it is subscribed to', async (t) => {
  const { promise: released, resolve } = deferred<void>()
  let count = 0
  const { app, client, raw, atClose, reasons } = await openOneRoute(t, {
    buffer: ROOMY,
    source: () => new Observable<string>((subscriber) => {
      for (let i = 0; i < MEGABYTES; i++) subscriber.next(MEGABYTE)
      return () => {
        count++
        resolve()
      }
    })
  })
  client.socket.pause()
  client.get('/')
  const { socket } = await raw()
  await immediate()
  t.ok(socket !== null && socket.writableLength > 0, 'bytes wait in Node')
  client.socket.destroy()
  await within(released, 'the release of the source')
  await atClose()
  t.same([count, app.sse.size, reasons], [1, 0, ['client']])
})
