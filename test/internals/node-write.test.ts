import { OutgoingMessage, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Frame } from '../../lib/wire/frame.ts'
import { limitEachTest } from '../fixtures/limits.ts'
import { fetch, immediate } from '../fixtures/waits.ts'

limitEachTest()

type WriterModule = typeof import('../../lib/stream/writer.ts')
type Write = typeof own

const { write: own } = OutgoingMessage.prototype
const TEXTS = [':\n', 'data: a\n\n', 'data: b\n\n', 'data: c\n\n']
let loads = 0

/** Streams three events with a writer that was loaded where Node's `write` was another one. */
async function streamWith (t: Test, write: Write): Promise<{ body: string, warnings: string[] }> {
  const warnings: string[] = []
  const onWarning = ({ code, message }: Error & { code?: string }): void => { warnings.push(`${code}: ${message}`) }
  process.on('warning', onWarning)
  OutgoingMessage.prototype.write = write
  t.teardown(() => {
    OutgoingMessage.prototype.write = own
    process.removeListener('warning', onWarning)
  })
  const url = new URL(`../../lib/stream/writer.js?load=${loads++}`, import.meta.url)
  const { Writer } = await import(url.href) as WriterModule

  const server = createServer(async (_request, response) => {
    const [first, ...frames] = TEXTS.map((text) => new Frame(text))
    const writer = new Writer(response, first as Frame, { flush () {}, onWriterClosed () {} }, null)
    for (const frame of frames) {
      await immediate()
      writer.write(frame)
    }
    response.end()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { body: await response.text(), warnings }
}

t.test('Should write through the response, and warn once, where Node has a write that is not known', async (t) => {
  let calls = 0
  // A later Node's: it begins as that of today does.
  const { body, warnings } = await streamWith(t, function write (this: OutgoingMessage, ...args: Parameters<Write>) {
    calls++
    return own.apply(this, args)
  } as Write)
  t.equal(body, TEXTS.join(''))
  t.equal(calls, TEXTS.length)
  t.equal(warnings.length, 1)
  t.match(warnings[0], `FST_SSE_UNKNOWN_NODE_WRITE: fastify-rxjs-sse does not know how Node ${process.version} writes`)
})

t.test('Should write through the response, and say nothing, where an agent has wrapped its write', async (t) => {
  let calls = 0
  const { body, warnings } = await streamWith(t, function (this: OutgoingMessage, ...args: Parameters<Write>) {
    calls++
    return own.apply(this, args)
  } as Write)
  t.equal(body, TEXTS.join(''))
  t.equal(calls, TEXTS.length)
  t.same(warnings, [])
})

t.test('Should say nothing where Node has the write that is known', async (t) => {
  t.same(await streamWith(t, own), { body: TEXTS.join(''), warnings: [] })
})
