import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { CONTENT_TYPE, isEventStream } from '../wire/content-type.ts'

/**
 * Lets routes with the option `sse` appear as `text/event-stream` in the documents of `@fastify/swagger`, also where
 * their schema declares no such response. Routes that answer HEAD alone have no body to describe.
 *
 * `@fastify/swagger` reads the schema of a route's options when it is asked for a document. They are given another one
 * when Fastify has compiled the user's: no serializer is made of what is added, and no answer changes.
 */
export function describeRoutes (app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', function (route) {
    if (!isStream(route) || route.method === 'HEAD') return
    // Only the user can write the schemas of such a compiler; a document's transform for them refuses others.
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

/** `schema` with a response that is an event stream: itself where it has one, or where there is no place for it. */
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
  // Swagger 2.0 knows no `content`, and `produces` is for all responses: it is taken where there is no other.
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

/** What `@fastify/swagger` reads of a route's schema, as far as it matters here. */
type DocumentedSchema = Omit<FastifySchema, 'response'> & {
  readonly produces?: readonly string[] | undefined
  readonly response?: { readonly [code: string]: JsonObject } | undefined
}

/** The keys of a response's `content` that are for event streams, in whatever case and with whatever parameters. */
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
