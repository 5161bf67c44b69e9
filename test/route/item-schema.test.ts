import swagger from '@fastify/swagger'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { Type } from 'typebox'
import sse, { sseTransformObject } from '../../index.ts'
import { limitEachTest } from '../fixtures/limits.ts'

limitEachTest()

const V32: FastifyDynamicSwaggerOptions['openapi'] & {} = { openapi: '3.2.0' }

const source = () => of({ data: 1 })

type Add = (app: FastifyInstance) => unknown

async function start (t: Test, options: FastifyDynamicSwaggerOptions, add: Add): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, options)
  await app.register(sse)
  await add(app)
  await app.ready()
  return app
}

/** Gives the document as it is sent, and checks that it is valid. */
async function documentOf (t: Test, options: FastifyDynamicSwaggerOptions, add: Add) {
  const document = JSON.parse(JSON.stringify((await start(t, options, add)).swagger()))
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  t.ok(valid, JSON.stringify(errors))
  return document
}

function declare (app: FastifyInstance, url: string, schema: object, media: object = {}): void {
  app.get(url, {
    sse: true, schema: { response: { 200: { content: { 'text/event-stream': { schema, ...media } } } } }
  } as object, source)
}

function event (data: object): object {
  return {
    type: 'object',
    required: ['data'],
    properties: { data, event: { type: 'string' }, id: { type: 'string' }, retry: { type: 'integer', minimum: 0 } }
  }
}

function json (contentSchema: unknown): object {
  return { type: 'string', contentMediaType: 'application/json', contentSchema }
}

const either = (schema: unknown) => ({ anyOf: [{ type: 'string' }, json(schema)] })

/** Makes a document with one route, whose response has that media type object. */
function documentWith (media: object) {
  return {
    openapi: '3.3.0', paths: { '/': { get: { responses: { 200: { content: { 'text/event-stream': media } } } } } }
  }
}

/** Gives what sseTransformObject() makes of a document. */
function transform (document: unknown): unknown {
  return sseTransformObject(() => document)()
}

const TICK = { type: 'object', properties: { price: { type: 'number' } } }
const shared = { $ref: '#/components/schemas/def-0' }
const name = { $ref: '#/components/schemas/def-1' }
const number = { type: 'number' }
const string = { type: 'string' }

/** Schemas of `data`, each with the schema that the `data` of an event then has. */
const CASES: ReadonlyArray<readonly [what: string, schema: object, data: object]> = [
  ['an object', TICK, json(TICK)],
  ['a shared object', { $ref: 'tick#' }, json(shared)],
  ['an array of shared objects', { type: 'array', items: { $ref: 'tick#' } }, json({ type: 'array', items: shared })],
  ['TypeBox\'s', Type.Object({ price: Type.Number() }), json({ ...TICK, required: ['price'] })],
  ['a number or null', { type: ['number', 'null'] }, json({ type: ['number', 'null'] })],
  ['text', { type: 'string', maxLength: 9 }, { type: 'string', maxLength: 9 }],
  ['shared text', { $ref: 'name#' }, name],
  ['text or null', { type: ['string', 'null'] }, either({ type: ['string', 'null'] })],
  ['a choice of texts', { enum: ['a', 'b'] }, { enum: ['a', 'b'] }],
  ['a choice of numbers', { enum: [1, 2] }, json({ enum: [1, 2] })],
  ['a choice of a text and a number', { enum: ['a', 2] }, either({ enum: ['a', 2] })],
  ['a constant text', { const: 'a' }, { enum: ['a'] }],
  ['either of two objects', { anyOf: [TICK, { $ref: 'tick#' }] }, json({ anyOf: [TICK, shared] })],
  ['one of two texts', { oneOf: [string, { $ref: 'name#' }] }, { oneOf: [string, name] }],
  ['an object or text', { anyOf: [TICK, string] }, either({ anyOf: [TICK, string] })],
  ['all of two', { allOf: [{ minimum: 1 }, number] }, json({ allOf: [{ minimum: 1 }, number] })],
  ['anything', {}, either({})]
]

t.test('Should describe an event in OpenAPI 3.2', async (t) => {
  const { paths, components } = await documentOf(t, { openapi: V32, transformObject: sseTransformObject() }, (app) => {
    app.addSchema({ $id: 'tick', ...TICK })
    app.addSchema({ $id: 'name', type: 'string' })
    for (const [index, [, schema]] of CASES.entries()) declare(app, `/${index}`, schema)
  })
  for (const [index, [what, , data]] of CASES.entries()) {
    const { content } = paths[`/${index}`].get.responses[200]
    t.strictSame(content, { 'text/event-stream': { itemSchema: event(data) } }, what)
  }
  t.strictSame(components.schemas['def-0'], { ...TICK, title: 'tick' })
})

t.test('Should describe the events of a route without a schema', async (t) => {
  const { paths } = await documentOf(t, { openapi: V32, transformObject: sseTransformObject() }, (app) => {
    app.get('/', { sse: true }, source)
  })
  t.strictSame(paths['/'].get.responses[200],
    { description: 'Server-sent events', content: { 'text/event-stream': { itemSchema: event(string) } } })
})

t.test('Should describe events under each status, content type, method and path, and nothing else', async (t) => {
  const { paths } = await documentOf(t, { openapi: V32, transformObject: sseTransformObject() }, (app) => {
    app.addHttpMethod('SUBSCRIBE')
    const stream = { 'Text/Event-Stream; charset=utf-8': { schema: TICK }, 'application/json': { schema: TICK } }
    app.route({
      method: ['GET', 'POST', 'SUBSCRIBE'],
      url: '/:id',
      sse: true,
      schema: {
        response: { '2xx': { content: stream }, default: { content: stream }, 400: { type: 'null', description: 'No' } }
      },
      handler: source
    })
    app.get('/json', { schema: { response: { 200: TICK } } }, () => ({ price: 1 }))
  })
  const content = {
    'Text/Event-Stream; charset=utf-8': { itemSchema: event(json(TICK)) }, 'application/json': { schema: TICK }
  }
  const described = { description: 'Default Response', content }
  const { get, post, additionalOperations } = paths['/{id}']
  for (const { responses } of [get, post, additionalOperations.SUBSCRIBE]) {
    t.strictSame(responses, { '2XX': described, default: described, 400: { description: 'No' } })
  }
  t.strictSame(paths['/json'].get.responses[200].content, { 'application/json': { schema: TICK } })
})

t.test('Should keep an itemSchema that is there already, and what is beside it', async (t) => {
  const own = { type: 'object', properties: { data: string, event: { enum: ['tick'] } } }
  const { paths } = await documentOf(t, { openapi: V32, transformObject: sseTransformObject() }, (app) => {
    declare(app, '/own', TICK, { itemSchema: own })
    declare(app, '/example', TICK, { example: 'data: 1\n\n' })
  })
  t.strictSame(paths['/own'].get.responses[200].content, { 'text/event-stream': { itemSchema: own } })
  t.strictSame(paths['/example'].get.responses[200].content,
    { 'text/event-stream': { itemSchema: event(json(TICK)), example: 'data: 1\n\n' } })
})

t.test('Should say the same in YAML', async (t) => {
  const app = await start(t, { openapi: V32, transformObject: sseTransformObject() }, (app) => declare(app, '/', TICK))
  const yaml = app.swagger({ yaml: true })
  t.match(yaml, /text\/event-stream:\s+itemSchema:\s+type: object/)
  t.notMatch(yaml, /[&*]a1/, 'nothing is given by reference to another place')
})

t.test('Should leave the documents of other versions as they are', async (t) => {
  for (const options of [{}, { openapi: {} }, { openapi: { openapi: '3.0.4' } }, { openapi: { openapi: '3.1.1' } }]) {
    const add = (app: FastifyInstance) => {
      app.get('/', { sse: true }, source)
      if ('openapi' in options) declare(app, '/declared', TICK)
    }
    const [plain, transformed] = await Promise.all([
      documentOf(t, options, add),
      documentOf(t, { ...options, transformObject: sseTransformObject() }, add)
    ])
    t.strictSame(transformed, plain)
  }
})

t.test('Should run the user\'s own first, and go by what it gives', async (t) => {
  const seen: unknown[] = []
  const { paths, tags } = await documentOf(t, {
    openapi: { openapi: '3.1.0' },
    transformObject: sseTransformObject((given) => {
      seen.push(given)
      return 'openapiObject' in given ? { ...given.openapiObject, openapi: '3.2.0', tags: [{ name: 'own' }] } : {}
    })
  }, (app) => declare(app, '/', TICK))
  t.match(seen, [{ openapiObject: { ...documentWith({ schema: TICK }), openapi: '3.1.0' } }])
  t.strictSame(tags, [{ name: 'own' }])
  t.strictSame(paths['/'].get.responses[200].content, { 'text/event-stream': { itemSchema: event(json(TICK)) } })
})

t.test('Should pass over what is no document, and what it does not know in one', (t) => {
  const paths = {
    '/': {
      summary: 'text',
      parameters: [],
      get: { responses: { 200: { $ref: '#/components/responses/a' }, 400: null } },
      put: { responses: { 200: { content: { 'text/event-stream': null } } } },
      post: { responses: { 200: { content: { 'text/event-stream': { itemSchema: {} }, 'text/plain': {} } } } }
    },
    '/none': null
  }
  for (const document of [
    undefined, null, 'text', [], {}, { openapi: '3.2.0' }, { openapi: '3.2.0', paths: null },
    { openapi: '3.2.0', paths }, { openapi: 3 }, { openapi: '2.9', paths }, { openapi: '3.10.0', paths: {} }
  ]) {
    t.strictSame(transform(document), document)
  }
  t.end()
})

t.test('Should follow the references of a document, and none that lead nowhere', (t) => {
  const schemas = { 'a/b ~': string, c: { const: 'x' }, loop: { anyOf: [{ $ref: '#/components/schemas/loop' }] } }
  for (const [reference, isText] of [
    ['#/components/schemas/a~1b ~0', true],
    ['#/components/schemas/c', true],
    ['#/components/schemas/c/const/d', false],
    ['#/components/schemas/loop', false],
    ['#/components/schemas/none', false],
    ['#/components/schemas/toString', false],
    ['https://example.com/schema', false]
  ] as const) {
    const schema = { $ref: reference }
    t.strictSame(transform({ ...documentWith({ schema }), components: { schemas } }),
      { ...documentWith({ itemSchema: event(isText ? schema : either(schema)) }), components: { schemas } }, reference)
  }
  t.strictSame(transform(documentWith({ schema: true })), documentWith({ itemSchema: event(either(true)) }))
  t.end()
})

t.test('Should change nothing in the document that it is given', (t) => {
  const document = documentWith({ schema: TICK })
  const copy = structuredClone(document)
  t.strictSame(sseTransformObject()({ openapiObject: document }), documentWith({ itemSchema: event(json(TICK)) }))
  t.strictSame(document, copy)
  t.end()
})

t.test('Should refuse what is no function', (t) => {
  for (const own of [null, {}, 'text', true]) {
    t.throws(() => sseTransformObject(own as never), {
      code: 'FST_SSE_INVALID_OPTION', message: /^The option "transformObject" must be a function; it is / 
    })
  }
  t.end()
})
