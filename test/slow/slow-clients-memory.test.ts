import t from 'tap'
import { MeasuredServer, POLICIES, mebibytes } from '../fixtures/measured-server.ts'
import { Reader, stall } from '../fixtures/slow.ts'

t.setTimeout(120_000)

const MEBIBYTE = 2 ** 20
const GIBIBYTE_OF_TEXTS = 16 * 1024

for (const policy of POLICIES) {
  t.test(`Should hold what a stalled client is owed within maxBytes, of 1 GiB: ${policy}`, async (t) => {
    const server = await MeasuredServer.startFor(t)
    const maxBytes = 8 * MEBIBYTE
    const path = `/hot?policy=${policy}&maxBytes=${maxBytes}`

    // A client that reads: what it takes to work at all is not counted.
    const warm = await Reader.open(t, server.port, path.replace(policy, 'drop-newest'), () => {})
    await server.tell({ type: 'emit', kind: 'texts', count: 4096 })
    warm.response.destroy()
    await server.untilSize(0)

    await stall(t, server.port, path)
    await server.untilSize(1)
    const before = await server.tell({ type: 'measure' })
    const { peak } = await server.tell({ type: 'emit', kind: 'texts', count: GIBIBYTE_OF_TEXTS })
    t.ok(peak - before.rss <= maxBytes + 16 * MEBIBYTE, `grew by ${mebibytes(peak - before.rss)} from ${mebibytes(before.rss)}`)

    // Those texts are the source's own: what waits of these is not, and garbage does not count.
    await server.tell({ type: 'emit', kind: 'documents', count: 1024 })
    const { held, size, overflow } = await server.tell({ type: 'measure' })
    t.ok(held - before.held <= maxBytes + 4 * MEBIBYTE, `holds ${mebibytes(held - before.held)} more`)
    t.same([size, overflow], policy === 'disconnect' ? [0, 1] : [1, 0])
  })
}
