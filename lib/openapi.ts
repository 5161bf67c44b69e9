import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { FST_SSE_INVALID_OPTION, show } from './errors.ts'
import { CONTENT_TYPE, isEventStream } from './head.ts'

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

/**
 * Makes a `transformObject` for `@fastify/swagger`: in a document of OpenAPI 3.2 or later, each `text/event-stream`
 * response gets an `itemSchema`, which describes one event (`data`, `event`, `id` and `retry`), in place of its
 * `schema`, which describes the `data` alone. An `itemSchema` that is there already stays. Documents of other versions
 * have no such member, and are left as they are.
 *
 * @param own Runs first, and gives the document.
 * @throws `FST_SSE_INVALID_OPTION`: `own` is no function.
 */
export function sseTransformObject (): <S, O>(document: { swaggerObject: S } | { openapiObject: O }) => S | O
export function sseTransformObject<A extends unknown[], R> (own: (...document: A) => R): (...document: A) => R
export function sseTransformObject (own: unknown = documentOf): (given: never) => unknown {
  if (typeof own !== 'function') throw new FST_SSE_INVALID_OPTION('transformObject', 'a function', show(own))
  return (given) => {
    const document: unknown = own(given)
    return isObject(document) && hasItemSchema(document) ? describeDocument(document) : document
  }
}

function documentOf (given: { readonly swaggerObject?: unknown, readonly openapiObject?: unknown }): unknown {
  return given.openapiObject ?? given.swaggerObject
}

function hasItemSchema ({ openapi }: JsonObject): boolean {
  const [, minor] = /^3\.(\d+)/.exec(String(openapi)) ?? []
  return Number(minor) >= 2
}

function describeDocument (document: JsonObject): JsonObject {
  const describeOperation = (operation: JsonObject) => changeMember(operation, 'responses', (responses) =>
    changeAll(responses, (response) => changeMember(response, 'content', (content) => {
      const streams = streamKeys(response).map((key) => [key, describeMedia(content[key], document)])
      return { ...content, ...Object.fromEntries(streams) }
    })))
  return changeMember(document, 'paths', (paths) => changeAll(paths, (path) =>
    changeMember(changeAll(path, describeOperation), 'additionalOperations', (operations) =>
      changeAll(operations, describeOperation))))
}

function describeMedia (media: unknown, document: JsonObject): unknown {
  if (!isObject(media)) return media
  const { schema, ...rest } = media
  return schema === undefined ? media : { itemSchema: describeEvent(schema, document), ...rest }
}

/** [spec] OpenAPI 3.2, 4.14.2, sequential media types: an event as clients see it when they have parsed the stream. */
function describeEvent (schema: unknown, document: JsonObject): JsonObject {
  return {
    type: 'object',
    required: ['data'],
    properties: {
      data: describeData(schema, document),
      event: { type: 'string' },
      id: { type: 'string' },
      retry: { type: 'integer', minimum: 0 }
    }
  }
}

/** Strings are sent as they are, anything else as JSON. */
function describeData (schema: unknown, document: JsonObject): unknown {
  const json = { type: 'string', contentMediaType: 'application/json', contentSchema: schema }
  switch (isText(schema, document)) {
    case true: return schema
    case false: return json
    case undefined: return { anyOf: [{ type: 'string' }, json] }
  }
}

/** Whether what fits the schema is a string; `undefined` where it may be. */
function isText (schema: unknown, document: JsonObject, seen: readonly unknown[] = []): boolean | undefined {
  if (!isObject(schema) || seen.includes(schema)) return undefined
  const isTextIn = (inner: unknown) => isText(inner, document, [...seen, schema])
  const { $ref, type, enum: values, const: value, anyOf, oneOf, allOf } = schema
  if (typeof $ref === 'string') return isTextIn(resolve(document, $ref))
  if (type !== undefined) return agreed(listOf(type).map((name) => name === 'string'))
  if (values !== undefined) return agreed(listOf(values).map((value) => typeof value === 'string'))
  if (value !== undefined) return typeof value === 'string'
  const union = anyOf ?? oneOf
  if (union !== undefined) return agreed(listOf(union).map(isTextIn))
  // A value fits all of these, so that any of them which knows is right.
  return listOf(allOf ?? []).map(isTextIn).find((text) => text !== undefined)
}

/** What all say, or `undefined`. */
function agreed (answers: ReadonlyArray<boolean | undefined>): boolean | undefined {
  return answers.every((answer) => answer === answers[0]) ? answers[0] : undefined
}

/** What a reference within the document is to (RFC 6901). */
function resolve (document: JsonObject, reference: string): unknown {
  if (!reference.startsWith('#/')) return undefined
  return reference.slice(2).split('/').reduce<unknown>((value, token) => {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    return isObject(value) ? value[key] : undefined
  }, document)
}

/** The keys of a response's `content` that are for event streams, in whatever case and with whatever parameters. */
function streamKeys (response: unknown): string[] {
  const content = isObject(response) ? response.content : undefined
  if (!isObject(content)) return []
  return Object.keys(content).filter(isEventStream)
}

function changeMember (object: JsonObject, key: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const value = object[key]
  return isObject(value) ? { ...object, [key]: change(value) } : object
}

function changeAll (object: JsonObject, change: (value: JsonObject) => JsonObject): JsonObject {
  const changed = Object.entries(object).map(([key, value]) => [key, isObject(value) ? change(value) : value])
  return Object.fromEntries(changed)
}

interface JsonObject {
  readonly [key: string]: unknown
}

function isObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf (value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}
