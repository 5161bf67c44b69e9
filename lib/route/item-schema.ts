import { FST_SSE_INVALID_OPTION } from '../errors.ts'
import { preview } from '../preview.ts'
import { isObject, streamKeys } from './openapi.ts'
import type { JsonObject } from './openapi.ts'

/**
 * Makes a `transformObject` for `@fastify/swagger`. In a document of OpenAPI 3.2 or later, each `text/event-stream`
 * response gets an `itemSchema`, which describes one event (`data`, `event`, `id` and `retry`), in place of its
 * `schema`, which describes the `data` alone. An `itemSchema` that the user has written stays. Documents of other
 * versions have no such member, and stay as they are. (OpenAPI 3.2, 4.14.2, sequential media types.)
 *
 * @param transform A `transformObject` of your own, which runs before: the document is what it returns.
 * @throws `FST_SSE_INVALID_OPTION` if `transform` is no function.
 * @example
 * ```ts
 * import swagger from '@fastify/swagger'
 * import sse, { sseTransformObject } from 'fastify-rxjs-sse'
 *
 * await app.register(swagger, { openapi: { openapi: '3.2.0' }, transformObject: sseTransformObject() })
 * await app.register(sse)
 * ```
 */
export function sseTransformObject (): <S, O>(document: { swaggerObject: S } | { openapiObject: O }) => S | O
export function sseTransformObject<A extends unknown[], R> (transform: (...document: A) => R): (...document: A) => R
export function sseTransformObject (transform: unknown = documentOf): (given: never) => unknown {
  if (typeof transform !== 'function') {
    throw new FST_SSE_INVALID_OPTION('transformObject', 'a function', preview(transform))
  }
  return (given) => {
    const document: unknown = transform(given)
    return isObject(document) && hasItemSchema(document) ? describeDocument(document) : document
  }
}

function documentOf (given: { readonly swaggerObject?: unknown, readonly openapiObject?: unknown }): unknown {
  return given.openapiObject ?? given.swaggerObject
}

/** Whether the version of a document knows `itemSchema`. */
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

/**
 * Describes an event as a client sees it that has parsed the stream.
 * [spec] OpenAPI 3.2, 4.14.2, sequential media types.
 */
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

/** Describes `data` as a client sees it: strings are sent as they are, anything else as JSON. */
function describeData (schema: unknown, document: JsonObject): unknown {
  const json = { type: 'string', contentMediaType: 'application/json', contentSchema: schema }
  switch (allowsOnlyStrings(schema, document)) {
    case true: return schema
    case false: return json
    case undefined: return { anyOf: [{ type: 'string' }, json] }
  }
}

/** Gives `true` if all values that fit a schema are strings, `false` if none is, and `undefined` if some may be. */
function allowsOnlyStrings (schema: unknown, document: JsonObject, seen: readonly unknown[] = []): boolean | undefined {
  if (!isObject(schema) || seen.includes(schema)) return undefined
  const askInner = (inner: unknown) => allowsOnlyStrings(inner, document, [...seen, schema])
  const { $ref, type, enum: values, const: value, anyOf, oneOf, allOf } = schema
  if (typeof $ref === 'string') return askInner(resolve(document, $ref))
  if (type !== undefined) return unanimous(listOf(type).map((name) => name === 'string'))
  if (values !== undefined) return unanimous(listOf(values).map((value) => typeof value === 'string'))
  if (value !== undefined) return typeof value === 'string'
  const union = anyOf ?? oneOf
  if (union !== undefined) return unanimous(listOf(union).map(askInner))
  // A value has to fit all of these schemas: the first that gives an answer decides.
  return listOf(allOf ?? []).map(askInner).find((answer) => answer !== undefined)
}

/** Gives the answer on which all agree, or `undefined`. */
function unanimous (answers: ReadonlyArray<boolean | undefined>): boolean | undefined {
  return answers.every((answer) => answer === answers[0]) ? answers[0] : undefined
}

/** Finds what a reference within the document points to (RFC 6901); `undefined` for another reference. */
function resolve (document: JsonObject, reference: string): unknown {
  if (!reference.startsWith('#/')) return undefined
  return reference.slice(2).split('/').reduce<unknown>((value, token) => {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    return isObject(value) ? value[key] : undefined
  }, document)
}

/** Copies an object, with one member changed if that is an object too. */
function changeMember (object: JsonObject, key: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const value = object[key]
  return isObject(value) ? { ...object, [key]: change(value) } : object
}

/** Copies an object, with each member changed that is an object too. */
function changeAll (object: JsonObject, change: (value: JsonObject) => JsonObject): JsonObject {
  const changed = Object.entries(object).map(([key, value]) => [key, isObject(value) ? change(value) : value])
  return Object.fromEntries(changed)
}

function listOf (value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}
