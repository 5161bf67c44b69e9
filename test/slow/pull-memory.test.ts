import t from 'tap'
import { limitEachTest } from '../fixtures/limits.ts'
import { MeasuredServer } from '../fixtures/measured-server.ts'
import { pullBytes } from '../fixtures/pull-bytes.ts'

limitEachTest()

t.setTimeout(120_000)

const MIB = 2 ** 20

/** `test/scripts/pull-10gib.ts` does it with ten times as much. */
t.test('Should take no more memory for 1 GiB that a client pulls than for little', async (t) => {
  const server = await MeasuredServer.startFor(t)
  await pullBytes(server.port, 128 * MIB)
  const { rss, held } = await server.tell({ type: 'measure' })
  const received = await pullBytes(server.port, 1024 * MIB)
  t.ok(received >= 1024 * MIB)
  const { peak } = await server.tell({ type: 'look' })
  const after = await server.tell({ type: 'measure' })
  t.ok(peak - rss <= 64 * MIB, `grew by ${((peak - rss) / MIB).toFixed(1)} MiB from ${(rss / MIB).toFixed(1)} MiB`)
  t.ok(after.held - held <= 4 * MIB, `holds ${((after.held - held) / MIB).toFixed(1)} MiB more`)
})
