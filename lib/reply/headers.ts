import type { FastifyReply } from 'fastify'
import { FST_SSE_CONTENT_TYPE, FST_SSE_STATUS_CODE } from '../errors.ts'
import { preview } from '../preview.ts'
import { CONTENT_TYPE, isEventStream } from '../wire/content-type.ts'

/** The response headers that are set where the user has set none. HTTP/2 forbids `connection`, and Node sets it. */
const STREAM_HEADERS: ReadonlyArray<readonly [name: string, value: string]> = [
  ['content-type', CONTENT_TYPE],
  // No cache may store the stream, and no proxy may compress it, which would delay events.
  ['cache-control', 'no-cache, no-transform'],
  // nginx buffers a response unless this says otherwise.
  ['x-accel-buffering', 'no']
]

/**
 * Refuses a reply whose status or content type cannot be an event stream's.
 *
 * @throws `FST_SSE_STATUS_CODE`, `FST_SSE_CONTENT_TYPE`
 */
export function checkHeaders (reply: FastifyReply): void {
  const { statusCode } = reply
  if (statusCode < 200 || statusCode === 204 || statusCode === 205 || statusCode === 304) {
    throw new FST_SSE_STATUS_CODE(statusCode)
  }
  const type = reply.getHeader('content-type')
  if (type !== undefined && !isEventStream(String(type))) {
    throw new FST_SSE_CONTENT_TYPE(preview(type))
  }
}

/** Removes the headers that `setHeaders()` has set, so that an error can be the answer. */
export function unsetHeaders (reply: FastifyReply): void {
  for (const [name, value] of STREAM_HEADERS) {
    if (reply.getHeader(name) !== value) continue
    reply.removeHeader(name)
    if (!reply.raw.headersSent) reply.raw.removeHeader(name)
  }
}

/** Sets the headers that are not set yet, and removes a `content-length`, as a stream has none. */
export function setHeaders (reply: FastifyReply): void {
  for (const [name, value] of STREAM_HEADERS) {
    if (reply.getHeader(name) === undefined) reply.header(name, value)
  }
  reply.removeHeader('content-length')
}
