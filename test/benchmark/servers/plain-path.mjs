import { OutgoingMessage } from 'node:http'
import { start as startPlugin } from './fastify-rxjs-sse.mjs'

/** Somebody has wrapped `write`, as a tracing agent does: chunks are not written to the socket. */
export function start (options) {
  const { write } = OutgoingMessage.prototype
  OutgoingMessage.prototype.write = function (...args) {
    return write.apply(this, args)
  }
  return startPlugin(options)
}
