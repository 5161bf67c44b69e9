import { startObjects } from './objects.mjs'

export function start (options) {
  return startObjects(options, {})
}
