import type { FastifyReply, FastifySchema } from 'fastify'
import { isEventStream } from '../wire/content-type.ts'
import type { Serializer } from '../wire/encode.ts'

/**
 * Gives the serializer that Fastify compiled from the response schema of a route for `text/event-stream`, or for
 * `*\/*`; `null` if there is no such schema. The schema for the reply's status code goes before that for a class of
 * codes, such as `2xx`, and this before `default`.
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

/**
 * Finds a response schema that a developer may take for that of the stream, and gives its status code: one of a
 * successful response, where none is for event streams. `undefined` if there is none.
 */
export function misplacedSchema (schema: FastifySchema | undefined): string | undefined {
  const responses = Object.entries((schema?.response ?? {}) as Record<string, ResponseSchema>)
    .filter(([status]) => /^(?:2|default$)/i.test(status))
  const isForStreams = responses.some(([, { content }]) =>
    Object.keys(content ?? {}).some((type) => type === '*/*' || isEventStream(type)))
  return isForStreams ? undefined : responses[0]?.[0]
}

interface ResponseSchema {
  readonly content?: Readonly<Record<string, unknown>>
}
