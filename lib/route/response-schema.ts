import type { FastifyReply, FastifySchema } from 'fastify'
import { isEventStream } from '../wire/content-type.ts'
import type { Serializer } from '../wire/encode.ts'

/**
 * What the route's response schema for `text/event-stream`, or for any type, was compiled to, for the status that the reply has, for
 * `2xx` and its like, or for `default`; `null` where there is no such schema.
 */
export function compiledSerializer (reply: FastifyReply): Serializer | null {
  const response = (reply.routeOptions.schema?.response ?? {}) as Record<string, ResponseSchema>
  const { statusCode } = reply
  for (const status of [`${statusCode}`, `${Math.trunc(statusCode / 100)}xx`, 'default']) {
    const declared = Object.keys(response).find((name) => name.toLowerCase() === status)
    const types = Object.keys((declared === undefined ? null : response[declared]?.content) ?? {})
    const type = types.find(isEventStream) ?? types.find((name) => name === '*/*')
    const serializer = type === undefined ? undefined : reply.getSerializationFunction(status, type)
    if (serializer !== undefined) return serializer as Serializer
  }
  return null
}

/** The code of a successful response whose schema is not for event streams, where no other schema is. */
export function otherSchema (schema: FastifySchema | undefined): string | undefined {
  const responses = Object.entries((schema?.response ?? {}) as Record<string, ResponseSchema>)
    .filter(([status]) => /^(?:2|default$)/i.test(status))
  const isForStreams = responses.some(([, { content }]) =>
    Object.keys(content ?? {}).some((type) => type === '*/*' || isEventStream(type)))
  return isForStreams ? undefined : responses[0]?.[0]
}

interface ResponseSchema {
  readonly content?: Readonly<Record<string, unknown>>
}
