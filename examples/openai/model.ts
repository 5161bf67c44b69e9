import { setTimeout } from 'node:timers/promises'

export interface GenerateOptions {
  /** Ends the wait for a token, and the generation with it. */
  readonly signal: AbortSignal
}

/** Answers a prompt, one token at a time. */
export type Model = (prompt: string, options: GenerateOptions) => AsyncIterable<string>

/** The tokens of a text: a word each, with the space before it. */
export function tokenize (text: string): string[] {
  return text.match(/\s*\S+/g) ?? []
}

/** Stands in for a model: says the same to the same prompt. A token takes it `delay` milliseconds. */
export function createModel (delay: number): Model {
  return async function * generate (prompt, { signal }) {
    const { length } = tokenize(prompt)
    const answer = `You wrote “${prompt.trim()}”, which has ${length} words. I have read each of them, in order.`
    for (const token of tokenize(answer)) {
      await setTimeout(delay, undefined, { signal })
      yield token
    }
  }
}
