import { Writable } from 'node:stream'
import t from 'tap'
import { WriteBatch } from '../../lib/server/write-batch.ts'
import { Outbox } from '../../lib/stream/outbox.ts'
import { Frame } from '../../lib/wire/frame.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

const OPTIONS = { maxBytes: 100, overflow: 'disconnect' } as const

t.test('Should give its owner what flushing throws, and flush the others of the batch', async (t) => {
  const failure = new Error('of the owner')
  const batch = new WriteBatch()
  const closings: unknown[] = []
  const written: number[] = []
  const outboxes = [1, 2, 3].map((n) => new Outbox(OPTIONS, batch, {
    onWritten () {
      written.push(n)
      if (n === 2) throw failure
    },
    onWriterClosed: (error) => closings.push(error)
  }, null))
  for (const outbox of outboxes) {
    outbox.open(new Writable({ write: (_chunk, _encoding, done) => done() }), new Frame(':\n'), null)
    outbox.send(new Frame('data: a\n\n'), 'a')
  }
  batch.flush()
  t.same(written, [1, 2, 3])
  t.same(closings, [failure])
})
