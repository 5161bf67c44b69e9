import { start as startPlugin } from './fastify-rxjs-sse.mjs'

/** Every connection encodes every message. */
export function start (options) {
  return startPlugin({ ...options, encodeOnce: false })
}
