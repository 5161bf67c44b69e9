/**
 * 10 GiB pulled through one connection by a client that keeps up: the server's memory stays flat.
 *
 *     npm run build && node dist/test/scripts/pull-10gib.js [GiB]
 */
import { MeasuredServer, mebibytes } from '../fixtures/measured-server.ts'
import { pullBytes } from '../fixtures/pull-bytes.ts'

const GIB = 2 ** 30
const gibibytes = Number(process.argv[2] ?? 10)

let stop: () => void = () => {}
const server = await MeasuredServer.start((kill) => { stop = kill })
await pullBytes(server.port, GIB / 8)
const { rss, held } = await server.tell({ type: 'measure' })
console.log(`warm: ${mebibytes(rss)} resident, ${mebibytes(held)} held`)

const start = performance.now()
const received = await pullBytes(server.port, gibibytes * GIB)
const seconds = (performance.now() - start) / 1000
const { peak } = await server.tell({ type: 'look' })
const after = await server.tell({ type: 'measure' })
console.log(`${(received / GIB).toFixed(2)} GiB in ${seconds.toFixed(1)} s, ${mebibytes(received / seconds)}/s`)
console.log(`peak: ${mebibytes(peak)} resident, ${mebibytes(peak - rss)} more; after: ${mebibytes(after.rss)} resident, ${mebibytes(after.held)} held`)
stop()
