import t from 'tap'
import { EntryParser, idOf } from '../../../lib/event-log/redis/entry.ts'
import { RecordingLogger } from '../../fixtures/log-pull-client.ts'

t.test('Should log each entry that is no event once, and not remember them all', async (t) => {
  const logger = new RecordingLogger()
  const parser = new EntryParser('log', logger)
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 1000; n++) t.equal(parser.parse([`1-${n}`, ['field', 'value']]), null)
  }
  t.equal(logger.warnings.length, 1000)
  parser.parse(['2-0', []])
  t.equal(logger.warnings.length, 1001)
  parser.parse(['1-0', []])
  t.equal(logger.warnings.length, 1002, 'it is logged again, when its id has been forgotten')
})

t.test('Should say which entry it is', async (t) => {
  t.equal(idOf(['1-1', []]), '1-1')
  t.equal(idOf(undefined), null)
})
