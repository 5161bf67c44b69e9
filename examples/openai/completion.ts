import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import { tokenize } from './model.ts'
import type { Model } from './model.ts'

type Chunk = OpenAI.ChatCompletionChunk
type Delta = OpenAI.ChatCompletionChunk.Choice.Delta
type FinishReason = 'stop' | 'length'

export interface Prompt {
  readonly name: string
  readonly model: Model
  readonly text: string
  /** At most so many tokens. */
  readonly limit: number
  readonly signal: AbortSignal
}

/** What `stream: true` asks for: the chunks of a completion, and the text that the client takes for their end. */
export async function * stream (prompt: Prompt, includeUsage: boolean): AsyncGenerator<{ data: Chunk | '[DONE]' }> {
  const { model, text, limit, signal } = prompt
  const head = { ...headOf(prompt), object: 'chat.completion.chunk' as const }
  const chunk = (delta: Delta, finish_reason: FinishReason | null = null) => ({
    data: { ...head, choices: [{ index: 0, delta, finish_reason }], ...includeUsage && { usage: null } }
  })

  let count = 0
  let reason: FinishReason = 'stop'
  yield chunk({ role: 'assistant', content: '' })
  for await (const token of model(text, { signal })) {
    if (count === limit) {
      reason = 'length'
      break
    }
    count++
    yield chunk({ content: token })
  }
  yield chunk({}, reason)
  if (includeUsage) yield { data: { ...head, choices: [], usage: usageOf(prompt, count) } }
  yield { data: '[DONE]' }
}

/** What `stream: false` asks for: the chunks put together. */
export async function complete (prompt: Prompt): Promise<OpenAI.ChatCompletion> {
  let content = ''
  let finish_reason: OpenAI.ChatCompletion.Choice['finish_reason'] = 'stop'
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const { data } of stream(prompt, true)) {
    if (data === '[DONE]') break
    const [choice] = data.choices
    content += choice?.delta.content ?? ''
    finish_reason = choice?.finish_reason ?? finish_reason
    usage = data.usage
  }
  return {
    ...headOf(prompt),
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, finish_reason, logprobs: null }],
    ...usage && { usage }
  }
}

function headOf ({ name }: Prompt): { id: string, created: number, model: string } {
  return { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: name }
}

function usageOf ({ text }: Prompt, completion_tokens: number): OpenAI.CompletionUsage {
  const prompt_tokens = tokenize(text).length
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}
