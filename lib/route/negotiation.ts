import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_SSE_NOT_ACCEPTABLE } from '../errors.ts'
import { preview } from '../preview.ts'
import { CONTENT_TYPE } from '../wire/content-type.ts'

/**
 * The media ranges that include `text/event-stream`, each with its place from the most specific (0) to the least. `*`
 * stands for `*\/*` in the headers of old clients.
 */
const SPECIFICITY: ReadonlyMap<string, number> = new Map([[CONTENT_TYPE, 0], ['text/*', 1], ['*/*', 2], ['*', 2]])

const MEDIA_RANGE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$|^\*$/
const WEIGHT = /^q=(\d+(?:\.\d*)?|\.\d+)$/i

/** Throws `FST_SSE_NOT_ACCEPTABLE` for a client that refuses an event stream. */
export function checkAcceptable ({ headers: { accept } }: FastifyRequest): void {
  if (accept !== undefined && !accepts(accept)) throw new FST_SSE_NOT_ACCEPTABLE(preview(accept))
}

/**
 * Whether an `Accept` header admits an event stream.
 *
 * [spec] RFC 9110 12.5.1: "Media ranges can be overridden by more specific media ranges or specific media types. If
 * more than one media range applies to a given type, the most specific reference has precedence." Of several references
 * that are equally specific, one that admits the stream is enough. A header without any range admits everything; a
 * member that is no range is ignored. Parameters other than the weight do not distinguish event streams.
 *
 * The packages for negotiation do not do this: they ignore quoted strings, and refuse `text/event-stream;charset=utf-8`
 * or `*`.
 */
function accepts (header: string): boolean {
  let hasRange = false
  let best = Infinity
  let isAdmitted = false
  for (const member of split(header, ',')) {
    const [name = '', ...parameters] = split(member, ';').map((part) => part.trim())
    if (!MEDIA_RANGE.test(name)) continue
    hasRange = true
    const specificity = SPECIFICITY.get(name.toLowerCase()) ?? Infinity
    if (specificity > best || specificity === Infinity) continue
    isAdmitted = weightOf(parameters) > 0 || (isAdmitted && specificity === best)
    best = specificity
  }
  return isAdmitted || !hasRange
}

/** The weight of a media range, from 0, which refuses it, to 1, which it has without a parameter `q`. */
function weightOf (parameters: readonly string[]): number {
  const weight = parameters.map((parameter) => WEIGHT.exec(parameter)?.[1]).find((given) => given !== undefined)
  return Number(weight ?? 1)
}

/** Splits a header at the separators that are in no quoted string. */
function split (text: string, separator: string): string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '"') isQuoted = !isQuoted
    else if (character === '\\' && isQuoted) i++
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

/**
 * The last `onSend` hook of a route that negotiates: adds `Accept` to the header `Vary`, so that caches keep the
 * answers to different `Accept` headers apart. Names that other hooks have set stay.
 */
export function varyByAccept (
  _request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error: null, payload: unknown) => void
): void {
  const names = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (!/(?:^|,)\s*(?:accept|\*)\s*(?:,|$)/i.test(names)) {
    reply.header('vary', names === '' ? 'Accept' : `${names}, Accept`)
  }
  done(null, payload)
}
