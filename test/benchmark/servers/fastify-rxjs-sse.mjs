import { startBuild } from './build.mjs'

/** One hot Observable for all. */
export function start (options) {
  return startBuild(new URL('../../../', import.meta.url), options)
}
