import type { FastifyReply } from 'fastify'
import type { Serializer } from './frame.ts'
import { isEventStream } from './head.ts'

/**
 * What the route's response schema for `text/event-stream` was compiled to, for the status that the reply has, for
 * `2xx` and its like, or for `default`; `null` where there is no such schema.
 */
export function compiledSerializer (reply: FastifyReply): Serializer | null {
  const response = (reply.routeOptions.schema?.response ?? {}) as Record<string, ResponseSchema>
  const { statusCode } = reply
  for (const status of [`${statusCode}`, `${Math.trunc(statusCode / 100)}xx`, 'default']) {
    const declared = Object.keys(response).find((name) => name.toLowerCase() === status)
    const type = Object.keys((declared === undefined ? null : response[declared]?.content) ?? {}).find(isEventStream)
    const serializer = type === undefined ? undefined : reply.getSerializationFunction(status, type)
    if (serializer !== undefined) return serializer as Serializer
  }
  return null
}

interface ResponseSchema {
  readonly content?: Readonly<Record<string, unknown>>
}
