import swagger from '@fastify/swagger'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { FastifyInstance, RouteOptions } from 'fastify'
import Fastify from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import sse from '../../index.ts'
import { eventsOf, listen } from '../fixtures/app.ts'

const TEXT = { schema: { type: 'string' } }
const STREAM = { description: 'Server-sent events', content: { 'text/event-stream': TEXT } }
const ERROR = { type: 'object', properties: { error: { type: 'string' } } }

/** Makes a response whose schema is a reference to the first shared schema. */
function shared (type: string): object {
  return { description: 'Default Response', content: { [type]: { schema: { $ref: '#/components/schemas/def-0' } } } }
}

const source = () => of({ data: { price: 1, secret: 'x' } })

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>
  readonly produces?: readonly string[]
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const VERSIONS: Readonly<Record<string, FastifyDynamicSwaggerOptions>> = {
  'OpenAPI 3.0': { openapi: { openapi: '3.0.3' } },
  'OpenAPI 3.1': { openapi: { openapi: '3.1.0' } },
  'OpenAPI 3.2': { openapi: { openapi: '3.2.0' } },
  'Swagger 2.0': { swagger: {} }
}

/** Gives the document of an application, and checks that it is valid. */
async function documentOf (
  t: Test, options: FastifyDynamicSwaggerOptions, add: (app: FastifyInstance) => unknown, isSwaggerFirst = true
): Promise<Document> {
  const app = Fastify()
  t.teardown(() => app.close())
  if (isSwaggerFirst) await app.register(swagger, options)
  await app.register(sse)
  if (!isSwaggerFirst) await app.register(swagger, options)
  await add(app)
  await app.ready()
  const document = JSON.parse(JSON.stringify(app.swagger()))
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  t.ok(valid, JSON.stringify(errors))
  return document
}

for (const [name, options] of Object.entries(VERSIONS)) {
  for (const isSwaggerFirst of [true, false]) {
    const order = isSwaggerFirst ? 'before' : 'after'
    t.test(`Should describe a route without a schema in ${name}, registered ${order} the plugin`, async (t) => {
      const { paths } = await documentOf(t, options, (app) => {
        app.get('/stream', { sse: true }, source)
        app.get('/options', { sse: { retry: 1 } }, source)
        app.get('/json', () => ({}))
        app.get('/off', { sse: false }, () => ({}))
      }, isSwaggerFirst)
      const expected = name === 'Swagger 2.0'
        ? { produces: ['text/event-stream'], responses: { 200: { description: 'Server-sent events', ...TEXT } } }
        : { responses: { 200: STREAM } }
      t.strictSame(paths['/stream']?.get, expected)
      t.strictSame(paths['/options']?.get, expected)
      t.strictSame(paths['/json']?.get, { responses: { 200: { description: 'Default Response' } } })
      t.strictSame(paths['/off']?.get, paths['/json']?.get)
    })
  }
}

for (const name of ['OpenAPI 3.0', 'OpenAPI 3.1', 'OpenAPI 3.2']) {
  const options = VERSIONS[name] ?? {}

  t.test(`Should leave a declared stream as it is in ${name}, with its references`, async (t) => {
    const { paths } = await documentOf(t, options, (app) => {
      app.addSchema({ $id: 'tick', type: 'object', properties: { price: { type: 'number' } } })
      const content = { 'text/event-stream': { schema: { $ref: 'tick#' } } }
      app.get('/one', { sse: true, schema: { response: { 200: { content } } } }, source)
      app.get('/wild', { sse: true, schema: { response: { '2xx': { content } } } }, source)
      app.get('/default', { sse: true, schema: { response: { default: { content } } } }, source)
      const other = { 'Text/Event-Stream;charset=utf-8': content['text/event-stream'] }
      app.get('/charset', { sse: true, schema: { response: { 200: { content: other } } } }, source)
    })
    t.strictSame(paths['/one']?.get?.responses, { 200: shared('text/event-stream') })
    t.strictSame(paths['/wild']?.get?.responses, { '2XX': shared('text/event-stream') })
    t.strictSame(paths['/default']?.get?.responses, { default: shared('text/event-stream') })
    t.strictSame(paths['/charset']?.get?.responses, { 200: shared('Text/Event-Stream;charset=utf-8') })
  })

  t.test(`Should add the stream to what is declared in ${name}`, async (t) => {
    const { paths } = await documentOf(t, options, (app) => {
      const json = { schema: ERROR }
      app.addSchema({ $id: 'error', ...ERROR })
      app.get('/errors', { sse: true, schema: { response: { 400: ERROR, '5xx': ERROR, default: ERROR } } }, source)
      app.get('/errors-only', {
        sse: true, schema: { response: { 400: { content: { 'text/event-stream': TEXT, 'application/json': json } } } }
      }, source)
      app.get('/both', {
        sse: true, schema: { response: { 200: { description: 'Two', content: { 'application/json': json } } } }
      }, source)
      app.get('/wild', {
        sse: true, schema: { response: { '2xx': { content: { 'application/json': json } } } }
      }, source)
      app.get('/plain', { sse: true, schema: { response: { 200: ERROR } } }, source)
      app.get('/wild-plain', { sse: true, schema: { response: { '2xx': { $ref: 'error#' } } } }, source)
      app.get('/produces', { sse: true, schema: { produces: ['application/json'] } }, source)
    })
    const errors = { description: 'Default Response', content: { 'application/json': { schema: ERROR } } }
    t.strictSame(paths['/errors']?.get?.responses, { 200: STREAM, 400: errors, '5XX': errors, default: errors })
    t.strictSame(paths['/errors-only']?.get?.responses[200], STREAM)
    const both = { 'application/json': { schema: ERROR }, 'text/event-stream': TEXT }
    t.strictSame(paths['/both']?.get?.responses, { 200: { description: 'Two', content: both } })
    t.strictSame(paths['/wild']?.get?.responses, { '2XX': { description: 'Default Response', content: both } })
    t.strictSame(paths['/plain']?.get?.responses, { 200: errors }, 'no place for it')
    t.strictSame(paths['/wild-plain']?.get?.responses, { '2XX': shared('application/json') }, 'nor here')
    t.strictSame(paths['/produces']?.get?.responses,
      { 200: { description: 'Server-sent events', content: { 'text/event-stream': TEXT, 'application/json': TEXT } } })
  })
}

t.test('Should add to the errors of Swagger 2.0 where produces says that they come with a stream', async (t) => {
  const { paths } = await documentOf(t, {}, (app) => {
    const produces = ['application/json', 'text/event-stream']
    app.get('/', { sse: true, schema: { produces, response: { 400: ERROR } } }, source)
  })
  t.strictSame(paths['/']?.get, {
    produces: ['text/event-stream', 'application/json'],
    responses: {
      200: { description: 'Server-sent events', schema: { type: 'string' } },
      400: { description: 'Default Response', schema: ERROR }
    }
  })
})

t.test('Should describe each method and prefix, and leave what is hidden, and HEAD, to the user', async (t) => {
  const { paths } = await documentOf(t, { openapi: {}, exposeHeadRoutes: true }, async (app) => {
    await app.register(async (child) => {
      child.get('/ticks', { sse: true, schema: { summary: 'Ticks', tags: ['live'], operationId: 'ticks' } }, source)
      child.get('/:id', { sse: true }, source)
      child.route({ method: ['POST', 'PUT'], url: '/many', sse: true, handler: source })
      child.get('/hidden', { sse: true, schema: { hide: true } }, source)
    }, { prefix: '/v1' })
  })
  t.strictSame(Object.keys(paths), ['/v1/ticks', '/v1/{id}', '/v1/many'])
  t.strictSame(paths['/v1/ticks']?.get,
    { summary: 'Ticks', tags: ['live'], operationId: 'ticks', responses: { 200: STREAM } })
  t.strictSame(paths['/v1/{id}']?.get?.responses, { 200: STREAM })
  t.strictSame(paths['/v1/many']?.post?.responses, { 200: STREAM })
  t.strictSame(paths['/v1/many']?.put?.responses, { 200: STREAM })
  for (const path of ['/v1/ticks', '/v1/{id}']) {
    t.strictSame(paths[path]?.head?.responses, { 200: { description: 'Default Response' } })
  }
})

t.test('Should describe the routes of a scope that alone has the plugin', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: {} })
  await app.register(async (child) => {
    await child.register(sse)
    child.get('/', { sse: true }, source)
  })
  await app.ready()
  t.match(app.swagger(), { paths: { '/': { get: { responses: { 200: STREAM } } } } })
})

t.test('Should be in the document that an onReady hook asks for', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: {} })
  await app.register(sse)
  let document
  app.addHook('onReady', async () => { document = app.swagger() })
  await app.register(async (child) => { child.get('/', { sse: true }, source) })
  await app.ready()
  t.match(document, { paths: { '/': { get: { responses: { 200: STREAM } } } } })
})

t.test('Should hand what is added to the transform of the user', async (t) => {
  const { paths } = await documentOf(t, {
    openapi: {},
    transform: ({ schema, url }) =>
      ({ schema: { ...schema, tags: Object.keys(schema.response as object) }, url: `/x${url}` })
  }, (app) => app.get('/', { sse: true }, source))
  t.strictSame(paths['/x/']?.get, { tags: ['200'], responses: { 200: STREAM } })
})

t.test('Should make nothing of routes whose schemas have a compiler of the user\'s', async (t) => {
  const compiled: unknown[] = []
  const compiler = ({ schema }: { schema: unknown }) => {
    compiled.push(schema)
    return JSON.stringify
  }
  const { paths } = await documentOf(t, { openapi: {} }, async (app) => {
    app.get('/route', { sse: true, serializerCompiler: compiler }, source)
    await app.register(async (child) => {
      child.setSerializerCompiler(compiler)
      child.get('/scope', { sse: true }, source)
    })
    app.get('/other', { sse: true }, source)
  })
  t.strictSame(paths['/route']?.get?.responses, { 200: { description: 'Default Response' } })
  t.strictSame(paths['/scope']?.get?.responses, { 200: { description: 'Default Response' } })
  t.strictSame(paths['/other']?.get?.responses, { 200: STREAM })
  t.strictSame(compiled, [])
})

t.test('Should leave a schema that is a boolean to others', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sse)
  const schema = { response: { 200: true, 400: false } }
  let options: RouteOptions | undefined
  app.addHook('onRoute', (route) => { if (route.method === 'GET') options = route })
  app.get('/', { sse: true, schema }, source)
  await app.ready()
  t.equal(options?.schema, schema)
})

t.test('Should change no answer, and no schema of the user\'s', async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: {} })
  await app.register(sse)
  const schema = Object.freeze({ response: Object.freeze({ 400: Object.freeze({ ...ERROR }) }) })
  const seen: unknown[] = []
  app.get('/stream', { sse: true, schema: { ...schema } }, (request, reply) => {
    seen.push(request.routeOptions.schema?.response, reply.getSerializationFunction('200', 'text/event-stream'))
    return source()
  })
  app.get('/json', { sse: true }, (_request, reply) => reply.send({ a: 1, b: { c: 2 } }))
  app.get('/text', { sse: true }, (_request, reply) => reply.send('text'))
  const address = await listen(app)
  t.match(app.swagger(), { paths: { '/stream': { get: { responses: { 200: STREAM } } } } })

  const { value } = await eventsOf(await fetch(`${address}/stream`)).next()
  t.equal(value?.data, '{"price":1,"secret":"x"}')
  t.strictSame(seen, [schema.response, undefined])
  t.equal(seen[0], schema.response)
  t.strictSame(await (await fetch(`${address}/json`)).json(), { a: 1, b: { c: 2 } })
  t.equal(await (await fetch(`${address}/text`)).text(), 'text')
})
