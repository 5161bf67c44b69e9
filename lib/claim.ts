import type { FastifyReply } from 'fastify'

/**
 * From `reply.sse()` on the reply is taken: a handler's forgotten `return`, what it returns or throws later, and
 * `handlerTimeout` must not answer in the stream's place. Fastify asks `reply.sent`, which is true only when the
 * response has ended; `reply.hijack()` would make it true for good, and leave the request hanging when an `onSend` hook
 * fails. So: a property of the reply's own, that can be taken back.
 */
export function claim (reply: FastifyReply): void {
  Object.defineProperty(reply, 'sent', { value: true, configurable: true, enumerable: true })
}

/** Gives the reply back: to `reply.send()`, or to the error handler. */
export function unclaim (reply: FastifyReply): void {
  delete (reply as { sent?: boolean }).sent
  // A handler that threw after the call has marked the reply so that the next thing sent is taken for an error.
  const key = isErrorKey(reply)
  if (key !== undefined) (reply as unknown as Record<symbol, boolean>)[key] = false
}

function isErrorKey (reply: FastifyReply): symbol | undefined {
  return Object.getOwnPropertySymbols(reply).find((symbol) => symbol.description === 'fastify.reply.isError')
}
