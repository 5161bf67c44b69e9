import { FST_SSE_INVALID_OPTION } from '../errors.ts'
import { preview } from '../preview.ts'
import { isObject, streamKeys } from './openapi.ts'
import type { JsonObject } from './openapi.ts'

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
  if (typeof own !== 'function') throw new FST_SSE_INVALID_OPTION('transformObject', 'a function', preview(own))
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

function changeMember (object: JsonObject, key: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const value = object[key]
  return isObject(value) ? { ...object, [key]: change(value) } : object
}

function changeAll (object: JsonObject, change: (value: JsonObject) => JsonObject): JsonObject {
  const changed = Object.entries(object).map(([key, value]) => [key, isObject(value) ? change(value) : value])
  return Object.fromEntries(changed)
}

function listOf (value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}
