import { MemoryEventLog } from '../../../dist/index.js'
import { startLog } from './log.mjs'

export function start () {
  return startLog(new MemoryEventLog())
}
