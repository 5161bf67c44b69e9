import { negotiate } from '@fastify/accept-negotiator'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_SSE_NOT_ACCEPTABLE } from '../errors.ts'
import { preview } from '../preview.ts'
import { CONTENT_TYPE } from '../wire/content-type.ts'

/** The ranges that an event stream is in, the most specific first, and `*`, which old clients send for any. */
const RANGES: ReadonlyMap<string, number> = new Map([[CONTENT_TYPE, 0], ['text/*', 1], ['*/*', 2], ['*', 2]])

const RANGE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$|^\*$/
const WEIGHT = /^q=(\d+(?:\.\d*)?|\.\d+)$/i

/** Throws `FST_SSE_NOT_ACCEPTABLE` for a client that refuses an event stream. */
export function checkAcceptable ({ headers: { accept } }: FastifyRequest): void {
  if (accept !== undefined && !accepts(accept)) throw new FST_SSE_NOT_ACCEPTABLE(preview(accept))
}

/**
 * [spec] RFC 9110 12.5.1: "Media ranges can be overridden by more specific media ranges or specific media types. If
 * more than one media range applies to a given type, the most specific reference has precedence." A header without any
 * range says nothing, and what is no range is passed over; parameters but the weight do not tell event streams apart.
 */
function accepts (header: string): boolean {
  const ranges: [string[], string[], string[]] = [[], [], []]
  let isEmpty = true
  for (const member of split(header, ',')) {
    const [name = '', ...parameters] = split(member, ';').map((part) => part.trim())
    if (!RANGE.test(name)) continue
    isEmpty = false
    const specificity = RANGES.get(name.toLowerCase())
    if (specificity === undefined) continue
    const weight = parameters.map((parameter) => WEIGHT.exec(parameter)?.[1]).find((given) => given !== undefined)
    ranges[specificity]?.push(`${CONTENT_TYPE};q=${weight ?? 1}`)
  }
  const applying = ranges.find(({ length }) => length > 0)
  // The negotiator knows weights, and neither the ranges of media types nor their parameters.
  return isEmpty || (applying !== undefined && negotiate(applying.join(), [CONTENT_TYPE]) !== null)
}

/** The parts between the separators that are not in a quoted string. */
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

/** The last `onSend` hook of a route that negotiates: caches keep its answers apart, beside what others have set. */
export function varyByAccept (
  _request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error: null, payload: unknown) => void
): void {
  const names = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (!/(?:^|,)\s*(?:accept|\*)\s*(?:,|$)/i.test(names)) {
    reply.header('vary', names === '' ? 'Accept' : `${names}, Accept`)
  }
  done(null, payload)
}
