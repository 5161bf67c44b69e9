import t from 'tap'
import { MeasuredServer, mebibytes } from '../fixtures/measured-server.ts'
import { Reader, stall } from '../fixtures/slow.ts'

t.setTimeout(120_000)

const MEBIBYTE = 2 ** 20

t.test('Should share what 1 000 stalled clients of one source wait for', async (t) => {
  const server = await MeasuredServer.startFor(t)
  const path = `/hot?policy=drop-oldest&maxBytes=${MEBIBYTE}`

  // Clients that read: what it takes to serve many at all is not counted.
  const warm = await Promise.all(Array.from({ length: 100 }, () => Reader.open(t, server.port, path, () => {})))
  await server.tell({ type: 'emit', kind: 'objects', count: 500 })
  for (const { response } of warm) response.destroy()
  await server.untilSize(0)

  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, () => stall(t, server.port, path)))
  await server.untilSize(1000)
  const { rss } = await server.tell({ type: 'measure' })
  // What the kernel takes, and then what waits.
  const { peak, size } = await server.tell({ type: 'emit', kind: 'objects', count: 1600 })
  t.ok(peak - rss <= 64 * MEBIBYTE, `grew by ${mebibytes(peak - rss)} from ${mebibytes(rss)}`)
  t.equal(size, 1000)
})
