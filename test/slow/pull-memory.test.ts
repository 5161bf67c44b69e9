import t from 'tap'
import { limitEachTest } from '../fixtures/limits.ts'
import { MeasuredServer } from '../fixtures/measured-server.ts'
import type { Answer } from '../fixtures/measured-server.ts'
import { pullBytes } from '../fixtures/pull-bytes.ts'

limitEachTest()

t.setTimeout(180_000)

const MIB = 2 ** 20

/** `test/scripts/pull-10gib.ts` does it with ten times as much. */
t.test('Should hold no more memory for 1 GiB that a client pulls than for little', { timeout: 120_000 }, async (t) => {
  const server = await MeasuredServer.startFor(t)
  await pullBytes(server.port, 128 * MIB)
  const before = await server.tell({ type: 'measure' })
  // What is held while it goes on: the resident memory shows as well how lazy the collector is.
  const measured: Array<Promise<Answer>> = []
  const received = await pullBytes(server.port, 1024 * MIB, 32 * MIB, () => { measured.push(server.tell({ type: 'measure' })) })
  t.ok(received >= 1024 * MIB)
  const answers = [...await Promise.all(measured), await server.tell({ type: 'measure' })]
  t.ok(answers.length > 30, `${answers.length} measurements`)
  const most = Math.max(...answers.map(({ held }) => held)) - before.held
  t.ok(most <= 4 * MIB, `holds up to ${(most / MIB).toFixed(1)} MiB more`)
})
