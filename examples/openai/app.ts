import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import type { FastifyError, FastifyInstance, FastifyReply, FastifySchemaValidationError } from 'fastify'
import sse from 'fastify-rxjs-sse'
import { Type } from 'typebox'
import { complete, stream } from './completion.ts'
import type { Model } from './model.ts'

const Part = Type.Object({ type: Type.Literal('text'), text: Type.String() })

const Message = Type.Object({
  role: Type.Union(['developer', 'system', 'user', 'assistant'].map((role) => Type.Literal(role))),
  content: Type.Union([Type.String(), Type.Array(Part)])
})

const Body = Type.Object({
  model: Type.String(),
  messages: Type.Array(Message, { minItems: 1 }),
  stream: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  stream_options: Type.Optional(Type.Object({ include_usage: Type.Optional(Type.Boolean()) })),
  max_completion_tokens: Type.Optional(Type.Integer({ minimum: 1 }))
})

/** What OpenAI's clients take for an error. */
class ApiError extends Error {
  readonly statusCode: number
  readonly param: string | null
  readonly code: string | null

  constructor (statusCode: number, message: string, param: string | null, code: string | null) {
    super(message)
    this.statusCode = statusCode
    this.param = param
    this.code = code
  }
}

/** A server of chat completions: give OpenAI's client its address, with `/v1`, as `baseURL`. */
export async function build (models: Readonly<Record<string, Model>>): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true, ajv: { customOptions: { coerceTypes: false } } })
  // A stream that fails says so in a last event, which the client throws.
  await app.register(sse, { onError: (error) => ({ data: { error: describe(error) } }) })

  app.setErrorHandler((error: FastifyError, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ error: describe(error) }))
  app.setNotFoundHandler((request) => {
    throw new ApiError(404, `There is no ${request.method} ${request.url}`, null, 'unknown_url')
  })

  app.get('/v1/models', () => ({
    object: 'list',
    data: Object.keys(models).map((id) => ({ id, object: 'model', created: 0, owned_by: 'example' }))
  }))

  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  typed.post('/v1/chat/completions', { schema: { body: Body } }, (request, reply) => {
    const { model: name, messages, stream_options, max_completion_tokens: limit = Infinity } = request.body
    const model = Object.hasOwn(models, name) ? models[name] : undefined
    if (model === undefined) throw new ApiError(404, `There is no model "${name}"`, 'model', 'model_not_found')
    const prompt = { name, model, limit, text: messages.map(({ content }) => textOf(content)).join('\n') }

    if (request.body.stream !== true) return complete({ ...prompt, signal: whenLeft(reply) })
    return reply.sse(({ signal }) => stream({ ...prompt, signal }, stream_options?.include_usage === true))
  })

  return app
}

function textOf (content: string | Array<{ text: string }>): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('')
}

/** Fires when the connection is closed: a stream has a signal of its own. */
function whenLeft ({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  raw.once('close', () => controller.abort())
  return controller.signal
}

function describe (error: unknown): object {
  if (error instanceof ApiError) {
    const { message, param, code } = error
    return { message, type: 'invalid_request_error', param, code }
  }
  const { statusCode = 500, validation, message } = error as FastifyError
  if (statusCode >= 500) return { message: 'The model has failed', type: 'server_error', param: null, code: null }
  const [first] = validation ?? []
  return { message, type: 'invalid_request_error', param: first === undefined ? null : pathOf(first), code: null }
}

/** The name of what is wrong or missing: `messages[0].content`. */
function pathOf ({ instancePath, params }: FastifySchemaValidationError): string {
  const missing = params.missingProperty === undefined ? '' : `/${String(params.missingProperty)}`
  return `${instancePath}${missing}`.replaceAll(/\/(\d+)(?=\/|$)/g, '[$1]').slice(1).replaceAll('/', '.')
}
