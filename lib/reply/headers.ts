import type { FastifyReply } from 'fastify'
import { FST_SSE_CONTENT_TYPE, FST_SSE_STATUS_CODE } from '../errors.ts'
import { preview } from '../preview.ts'
import { CONTENT_TYPE, isEventStream } from '../wire/content-type.ts'

/** What a head says where the user has not said otherwise. `connection` is not ours to set, and HTTP/2 forbids it. */
const STREAM_HEADERS: ReadonlyArray<readonly [name: string, value: string]> = [
  ['content-type', CONTENT_TYPE],
  // No cache may keep it, and nothing on the way may compress it, which would hold events back.
  ['cache-control', 'no-cache, no-transform'],
  // nginx collects a response before it hands it on, unless told otherwise.
  ['x-accel-buffering', 'no']
]

/** Throws `FST_SSE_STATUS_CODE` and `FST_SSE_CONTENT_TYPE` for a head that cannot be an event stream's. */
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

/** Takes back what was set, for another answer. */
export function unsetHeaders (reply: FastifyReply): void {
  for (const [name, value] of STREAM_HEADERS) {
    if (reply.getHeader(name) !== value) continue
    reply.removeHeader(name)
    if (!reply.raw.headersSent) reply.raw.removeHeader(name)
  }
}

/** Sets the headers that are not set yet, and drops a length, as there is none. */
export function setHeaders (reply: FastifyReply): void {
  for (const [name, value] of STREAM_HEADERS) {
    if (reply.getHeader(name) === undefined) reply.header(name, value)
  }
  reply.removeHeader('content-length')
}
