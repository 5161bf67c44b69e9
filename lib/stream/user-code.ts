import type { AsyncResource } from 'node:async_hooks'
import type { FastifyRequest } from 'fastify'
import type { SseSummary } from '../../types/index.ts'
import { isPromise } from '../duck-type.ts'
import type { ResolvedOptions } from '../options.ts'
import { encodeFrame } from '../wire/encode.ts'
import type { Frame } from '../wire/frame.ts'

/**
 * Calls user code in the async context of the `reply.sse()` call that made its stream. `onThrow` gets what the code
 * throws, or rejects with if it is async: nothing of it reaches the caller.
 */
export function callUserCode (context: AsyncResource, code: () => unknown, onThrow: (error: unknown) => void): void {
  try {
    const result = context.runInAsyncScope(code)
    // A lazy thenable (a query of Prisma or knex) does nothing until its then() is called.
    if (isPromise(result)) context.runInAsyncScope(() => Promise.resolve(result)).then(undefined, onThrow)
  } catch (error) {
    onThrow(error)
  }
}

/** Asks the option `onError` for the last event of a stream that has failed with `error`. */
export function askOnError (
  context: AsyncResource, request: FastifyRequest, { onError, optionSerializer }: ResolvedOptions, error: unknown
): Frame | null {
  if (typeof onError !== 'function') return null
  let frame: Frame | null = null
  callUserCode(context, () => {
    const message = onError(error)
    if (message !== undefined) frame = encodeFrame(message, optionSerializer)
  }, (thrown) => request.log.error({ err: thrown }, 'onError of an event stream threw'))
  return frame
}

/** Logs how a stream ended, in one line, and calls the callbacks `onClose`. */
export function report (
  context: AsyncResource, request: FastifyRequest, { onClose }: ResolvedOptions, summary: SseSummary
): void {
  const { log } = request
  const { error, ...sse } = summary
  if (sse.reason === 'error') log.error({ err: error, sse }, 'event stream failed')
  else if (error !== undefined) log.warn({ err: error, sse }, 'event stream dropped')
  else log.debug({ sse }, 'event stream closed')
  for (const callback of onClose) {
    callUserCode(context, () => callback(summary, request),
      (thrown) => log.error({ err: thrown }, 'onClose of an event stream threw'))
  }
}
