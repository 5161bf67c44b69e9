import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { CONTENT_TYPE, isEventStream } from '../wire/content-type.ts'

/**
 * Makes routes with the option `sse` appear as `text/event-stream` in the documents of `@fastify/swagger`, also if
 * their schema declares no such response. Routes that answer only HEAD have no body to describe.
 *
 * `@fastify/swagger` reads the schema from a route's options when it makes a document. The schema there is replaced
 * only after Fastify has compiled that of the user: no serializer is made from what is added, and no answer changes.
 */
export function describeRoutes (app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', function (route) {
    if (!isStream(route) || route.method === 'HEAD') return
    // Schemas for a compiler of the user's own may be anything, and the `transform` of @fastify/swagger that goes with
    // it would refuse a JSON schema.
    if ((route.serializerCompiler ?? this.serializerCompiler) !== undefined) return
    routes.push(route)
  })
  app.addHook('onReady', async () => {
    for (const route of routes.splice(0)) route.schema = describeStream(route.schema as DocumentedSchema | undefined)
  })
}

function isStream (route: RouteOptions & { sse?: unknown }): boolean {
  return route.sse !== undefined && route.sse !== false
}

/**
 * Adds a response that is an event stream to a schema. Returns the schema itself if it has one already, or describes
 * its successful response in a way that leaves no place for another media type.
 */
function describeStream (schema: DocumentedSchema = {}): DocumentedSchema {
  const { produces, response = {} } = schema
  const codes = Object.keys(response)
  if (codes.some((code) => /^(2|default$)/.test(code) && streamKeys(response[code]).length > 0)) return schema

  const code = ['200', '2xx', '2XX'].find((code) => code in response)
  if (code !== undefined) {
    const given = response[code]
    if (!isObject(given?.content)) return schema
    const content = { ...given.content, [CONTENT_TYPE]: { schema: { type: 'string' } } }
    return { ...schema, response: { ...response, [code]: { ...given, content } } }
  }

  const description = 'Server-sent events'
  // Swagger 2.0 has no `content`, and its `produces` is for all responses: it is set if there is no other response.
  if (codes.length === 0 || produces?.includes(CONTENT_TYPE) === true) {
    return {
      ...schema,
      produces: [...new Set([CONTENT_TYPE, ...produces ?? []])],
      response: { ...response, 200: { type: 'string', 'x-response-description': description } }
    }
  }
  const content = { [CONTENT_TYPE]: { schema: { type: 'string' } } }
  return { ...schema, response: { ...response, 200: { description, content } } }
}

/** A route's schema, with what only `@fastify/swagger` reads. */
type DocumentedSchema = Omit<FastifySchema, 'response'> & {
  readonly produces?: readonly string[] | undefined
  readonly response?: { readonly [code: string]: JsonObject } | undefined
}

/** Gives the keys of a response's `content` that are for event streams, ignoring case and parameters. */
export function streamKeys (response: unknown): string[] {
  const content = isObject(response) ? response.content : undefined
  if (!isObject(content)) return []
  return Object.keys(content).filter(isEventStream)
}

export interface JsonObject {
  readonly [key: string]: unknown
}

export function isObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
