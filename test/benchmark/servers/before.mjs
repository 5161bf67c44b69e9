import { pathToFileURL } from 'node:url'
import { startBuild } from './build.mjs'

/** The same with another build of this plugin, that of the option `--before`. */
export function start (options) {
  return startBuild(pathToFileURL(`${process.env.BENCHMARK_BEFORE}/`), options)
}
