import t from 'tap'
import { MemoryEventLog } from '../../index.ts'
import { measureHeap } from '../fixtures/leaks.ts'
import { READER_KINDS, readLog, settle } from '../fixtures/log-readers.ts'

t.setTimeout(180_000)

const MIB = 2 ** 20

async function heldBytes (): Promise<number> {
  const { heapUsed, external } = await measureHeap()
  return heapUsed + external
}

t.test('Should keep nothing of a megabyte that was given as an id', async (t) => {
  const log = new MemoryEventLog()
  await log.append(0)
  const before = await heldBytes()
  const readers = []
  for (const kind of READER_KINDS) {
    for (let i = 0; i < 10; i++) {
      const reader = readLog(kind, log, String.fromCharCode(97 + i).repeat(MIB) + i)
      reader.pull(3)
      readers.push(reader)
      await settle()
    }
  }
  const grown = await heldBytes() - before
  t.ok(readers.every(({ got }) => got.length === 2 && got[0]?.type === 'gap'))
  t.ok(grown < 4 * MIB, `30 readers hold ${(grown / MIB).toFixed(1)} MiB`)
  for (const reader of readers) reader.leave()
})

t.test('Should keep nothing of readers that have left, or failed', async (t) => {
  const log = new MemoryEventLog()
  const id = await log.append(0)
  await log.append(1)
  await log.append(2)
  const visit = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      for (const kind of READER_KINDS) {
        const reader = readLog(kind, log, id, { filter: () => i % 2 === 0 || fail() })
        reader.pull(1 + i % 4)
        await settle()
        if (i % 2 === 0) reader.leave()
      }
    }
  }
  await visit(1000)
  const before = await heldBytes()
  await visit(10_000)
  const grown = await heldBytes() - before
  t.ok(grown < MIB, `30 000 readers left ${(grown / 1024).toFixed()} KiB behind`)
})

function fail (): never {
  throw new Error('mine')
}

t.test('Should take no more memory than it may, however much is appended', async (t) => {
  const log = new MemoryEventLog({ maxBytes: 8 * MIB, maxEvents: 1_000_000, from: 'start' })
  const before = await heldBytes()
  const append = async (bytes: number): Promise<void> => {
    for (let i = 0; i < bytes / 4096; i++) await log.append({ data: { i, text: `${i} `.padEnd(4000, 'x') } })
  }
  await append(16 * MIB)
  const full = await heldBytes()
  await append(128 * MIB)
  const after = await heldBytes()
  const [whenFull, inTheEnd] = [full, after].map((bytes) => ((bytes - before) / MIB).toFixed(1))
  const show = `${whenFull} MiB when full, ${inTheEnd} MiB after 128 MiB`
  t.ok(after - before < 12 * MIB, show)
  t.ok(full - before > 6 * MIB, show)
  const reader = readLog('RxJS', log)
  const held = reader.got.splice(0).length
  reader.leave()
  t.ok(held > 1800 && held <= 8 * MIB / 4096, `${held} are held`)
  t.ok(await heldBytes() - before < 12 * MIB, 'what was made of the data for a reader is released')
})
