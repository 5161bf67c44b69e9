import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import OpenAI, {
  APIConnectionTimeoutError, APIError, BadRequestError, InternalServerError, NotFoundError
} from 'openai'
import t from 'tap'
import type { Test } from 'tap'
import { build } from '../../examples/openai/app.ts'
import { createModel, tokenize } from '../../examples/openai/model.ts'
import type { Model } from '../../examples/openai/model.ts'
import { closeAtEnd, eventsOf, listen } from '../fixtures/app.ts'
import { noSignals, startProgram } from '../fixtures/program.ts'
import { deferred, fetch, within } from '../fixtures/waits.ts'

const messages = [{ role: 'user' as const, content: 'Tell me a story' }]
const ANSWER = 'You wrote “Tell me a story”, which has 4 words. I have read each of them, in order.'
const TOKENS = tokenize(ANSWER)
const USAGE = { prompt_tokens: 4, completion_tokens: TOKENS.length, total_tokens: 4 + TOKENS.length }

interface Server {
  readonly app: FastifyInstance
  readonly address: string
  readonly client: OpenAI
}

async function start (t: Test, models: Readonly<Record<string, Model>> = { echo: createModel(0) }): Promise<Server> {
  const app = await build(models)
  closeAtEnd(t, app)
  const address = await listen(app)
  return { app, address, client: new OpenAI({ baseURL: `${address}/v1`, apiKey: 'none', maxRetries: 0 }) }
}

/** Gives the error that a promise is rejected with. */
function failureOf (promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => null, (error: unknown) => error)
}

/** A model without an end: it gives `count` tokens at once, and then none ever. */
class EndlessModel {
  generated = 0
  generatedAtAbort: number | null = null
  readonly model: Model
  readonly #count: number
  readonly #left = deferred<void>()
  readonly #waits = deferred<void>()

  constructor (count: number) {
    this.model = (_prompt, { signal }) => this.#generate(signal)
    this.#count = count
  }

  /** Resolves when the generator has been left. */
  get left (): Promise<void> {
    return within(this.#left.promise, 'the end of the generator')
  }

  /** Resolves when a token is waited for that never comes. */
  get waits (): Promise<void> {
    return within(this.#waits.promise, 'the wait for a token that never comes')
  }

  async * #generate (signal: AbortSignal): AsyncGenerator<string> {
    signal.addEventListener('abort', () => { this.generatedAtAbort = this.generated })
    try {
      for (;;) {
        const isLast = this.generated === this.#count
        if (isLast) this.#waits.resolve()
        await setTimeout(isLast ? 2 ** 31 - 1 : 0, undefined, { signal })
        yield ` ${++this.generated}`
      }
    } finally {
      this.#left.resolve()
    }
  }
}

t.test('Should stream all chunks to the official client, in order', async (t) => {
  const { client } = await start(t)
  const chunks = []
  const stream = await client.chat.completions.create({ model: 'echo', messages, stream: true })
  for await (const chunk of stream) chunks.push(chunk)

  t.equal(new Set(chunks.map(({ id, object, model }) => `${id} ${object} ${model}`)).size, 1)
  t.match(chunks[0], { object: 'chat.completion.chunk', model: 'echo', id: /^chatcmpl-/, created: Number })
  const choices = chunks.map(({ choices }) => choices)
  t.strictSame(choices[0], [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }])
  t.strictSame(choices.slice(1, -1),
    TOKENS.map((content) => [{ index: 0, delta: { content }, finish_reason: null }]))
  t.strictSame(choices.at(-1), [{ index: 0, delta: {}, finish_reason: 'stop' }])
  t.notOk(chunks.some((chunk) => 'usage' in chunk))
})

t.test('Should stream the usage where it is asked for', async (t) => {
  const { client } = await start(t)
  const chunks = []
  const stream = await client.chat.completions.create(
    { model: 'echo', messages, stream: true, stream_options: { include_usage: true } })
  for await (const chunk of stream) chunks.push(chunk)
  t.match(chunks.at(-1), { choices: [], usage: USAGE })
  t.ok(chunks.slice(0, -1).every(({ usage }) => usage === null))
})

t.test('Should stream to the client\'s own helper, which puts the chunks together', async (t) => {
  const { client } = await start(t)
  const { choices } = await client.chat.completions.stream({ model: 'echo', messages }).finalChatCompletion()
  t.match(choices, [{ message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }])
})

t.test('Should stream no more tokens than are asked for', async (t) => {
  const endless = new EndlessModel(Infinity)
  const { client } = await start(t, { endless: endless.model })
  let content = ''
  let reason
  const stream = await client.chat.completions.create(
    { model: 'endless', messages, stream: true, max_completion_tokens: 3 })
  for await (const { choices: [choice] } of stream) {
    content += choice?.delta.content ?? ''
    reason = choice?.finish_reason
  }
  t.equal(content, ' 1 2 3')
  t.equal(reason, 'length')
  await endless.left
})

t.test('Should write an event stream that begins with a comment and ends with [DONE]', async (t) => {
  const { address } = await start(t)
  const response = await fetch(`${address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', messages, stream: true })
  })
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  const copy = response.clone()
  t.match(await response.text(), /^:\n\ndata: \{"id":"chatcmpl-.*data: \[DONE\]\n\n$/s)
  const events = []
  for await (const event of eventsOf(copy)) events.push(event)
  t.equal(events.length, TOKENS.length + 3)
  t.match(events.at(-1), { data: '[DONE]', event: undefined, id: undefined })
})

t.test('Should answer with one JSON without stream: true', async (t) => {
  const { client } = await start(t)
  for (const stream of [false, null, undefined]) {
    const { choices, usage, object } = await client.chat.completions.create({
      model: 'echo',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Tell me ' }, { type: 'text', text: 'a story' }] }],
      ...stream !== undefined && { stream: stream as false }
    })
    t.equal(object, 'chat.completion')
    t.match(choices, [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }])
    t.strictSame(usage, USAGE)
  }
})

t.test('Should name the models', async (t) => {
  const { client } = await start(t)
  t.strictSame((await client.models.list()).data.map(({ id }) => id), ['echo'])
})

t.test('Should answer with the errors that the client knows, streaming or not', async (t) => {
  const { client } = await start(t)
  const { completions } = client.chat
  for (const stream of [true, false]) {
    for (const [body, expected] of [
      [{ model: 'other', messages }, { status: 404, param: 'model', code: 'model_not_found' }],
      [{ model: '__proto__', messages }, { status: 404, param: 'model', code: 'model_not_found' }],
      [{ model: 'echo' }, { status: 400, param: 'messages', code: null }],
      [{ model: 7, messages }, { status: 400, param: 'model', code: null }],
      [{ model: 'echo', messages: [] }, { status: 400, param: 'messages', code: null }],
      [{ model: 'echo', messages: [{ role: 'user' }] }, { status: 400, param: 'messages[0].content', code: null }],
      [
        { model: 'echo', messages, max_completion_tokens: 0 },
        { status: 400, param: 'max_completion_tokens', code: null }
      ]
    ] as const) {
      const error = await failureOf(completions.create({ ...body, stream } as never))
      t.ok(error instanceof (expected.status === 404 ? NotFoundError : BadRequestError), JSON.stringify(body))
      t.match(error, { ...expected, type: 'invalid_request_error', message: /\w/ })
    }
  }
  const wrong = await failureOf(completions.create({ model: 'echo', messages, stream: 'yes' as never }))
  t.match(wrong, { status: 400, param: 'stream' })
  const unknown = await failureOf(client.embeddings.create({ model: 'echo', input: 'a' }))
  t.match(unknown, { status: 404, code: 'unknown_url' })
})

t.test('Should answer with the error of a body that is no JSON', async (t) => {
  const { address } = await start(t)
  const response = await fetch(`${address}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"model":'
  })
  t.equal(response.status, 400)
  t.match(await response.json(), { error: { message: /JSON/, type: 'invalid_request_error', param: null, code: null } })
})

t.test('Should tell the client that the model has failed, and not why', async (t) => {
  const { client } = await start(t, {
    async * failing () {
      yield 'Once'
      throw new Error('a secret')
    }
  })
  let content = ''
  const stream = await client.chat.completions.create({ model: 'failing', messages, stream: true })
  const read = async () => { for await (const { choices } of stream) content += choices[0]?.delta.content ?? '' }
  const error = await failureOf(read())
  t.ok(error instanceof APIError)
  t.match(error, { message: /^The model has failed$/, type: 'server_error' })
  t.equal(content, 'Once')

  const plain = await failureOf(client.chat.completions.create({ model: 'failing', messages }))
  t.ok(plain instanceof InternalServerError)
  t.match(plain, { status: 500, type: 'server_error', message: /^500 The model has failed$/ })
})

t.test('Should leave the model at once when the client aborts while a token is waited for', async (t) => {
  const endless = new EndlessModel(3)
  const { app, client } = await start(t, { slow: endless.model })
  const stream = await client.chat.completions.create({ model: 'slow', messages, stream: true })
  let content = ''
  for await (const { choices } of stream) {
    content += choices[0]?.delta.content ?? ''
    if (content !== ' 1 2 3') continue
    await endless.waits
    t.equal(app.sse.size, 1)
    stream.controller.abort()
  }
  await endless.left
  t.equal(content, ' 1 2 3')
  t.equal(endless.generated, 3)
  t.equal(app.sse.size, 0)
})

t.test('Should generate no further token when the client breaks out of its loop', async (t) => {
  const endless = new EndlessModel(Infinity)
  const { app, client } = await start(t, { endless: endless.model })
  for await (const { choices } of await client.chat.completions.create({ model: 'endless', messages, stream: true })) {
    if (choices[0]?.delta.content === ' 5') break
  }
  await endless.left
  t.ok(endless.generated >= 5)
  t.equal(endless.generated, endless.generatedAtAbort)
  t.equal(app.sse.size, 0)
})

t.test('Should leave the model when a client that waits for JSON runs out of time', async (t) => {
  const endless = new EndlessModel(0)
  const { client } = await start(t, { never: endless.model })
  const error = await failureOf(client.chat.completions.create({ model: 'never', messages }, { timeout: 50 }))
  t.ok(error instanceof APIConnectionTimeoutError)
  await endless.left
  t.equal(endless.generated, 0)
})

t.test('Should be in time with a stream whose first token is not', async (t) => {
  const endless = new EndlessModel(0)
  const { client } = await start(t, { never: endless.model })
  const stream = await client.chat.completions.create({ model: 'never', messages, stream: true }, { timeout: 1000 })
  for await (const { choices } of stream) {
    t.strictSame(choices[0]?.delta, { role: 'assistant', content: '' })
    await endless.waits
    break
  }
  await endless.left
  t.equal(endless.generated, 0)
})

t.test('Should run as a program, and end on SIGINT with a stream open', { skip: noSignals }, async (t) => {
  const { address, end } = await startProgram(
    t, 'openai/server.js', /^Chat completions at http:\/\/localhost:(\d+)\/v1\n$/)
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: 'none', maxRetries: 0 })
  let content = ''
  let ended
  for await (const { choices } of await client.chat.completions.create({ model: 'echo', messages, stream: true })) {
    content += choices[0]?.delta.content ?? ''
    if (content === 'You wrote') ended = end('SIGINT')
  }
  t.ok(ANSWER.startsWith(content) && content !== ANSWER, content)
  t.strictSame(await ended, { code: 0, stderr: '' })
})
