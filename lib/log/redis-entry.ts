import { LogEntry } from './entry.ts'
import type { Content } from './entry.ts'

/**
 * What an event is in a Redis stream: `data` is JSON and `text` a string, and the other fields are those of a message.
 * Other programs may append too.
 */
export function fieldsOf ({ text, isJson, type, retry, comment }: Content): string[] {
  const fields: string[] = []
  if (text !== undefined) fields.push(isJson ? 'data' : 'text', text)
  if (type !== undefined) fields.push('type', type)
  if (retry !== undefined) fields.push('retry', String(retry))
  if (comment !== undefined) fields.push('comment', comment)
  return fields
}

/** An entry of a Redis stream, in the reply of `XRANGE` and the like. Throws for what no event can be made of. */
export function entryOf ([id, list]: RawEntry): LogEntry {
  const fields: Record<string, string | undefined> = Object.create(null)
  for (let i = 0; i < list.length; i += 2) fields[String(list[i])] = String(list[i + 1])
  const { data, text, type, retry, comment } = fields
  if (data === undefined && text === undefined && type === undefined) throw new Error('it has no data, text or type')
  // What is no JSON would fail each reader, again and again.
  if (data !== undefined) JSON.parse(data)
  return new LogEntry(String(id), Number.parseInt(String(id)), {
    text: data ?? text,
    isJson: data !== undefined,
    type,
    retry: retry === undefined ? undefined : Number(retry),
    comment
  })
}

export type RawEntry = readonly [id: unknown, fields: readonly unknown[]]

/** The reply of `XREAD`, by keys: a list of pairs, with RESP3 a `Map`, or `null` where nothing came. */
export function streamsOf (reply: Iterable<readonly [unknown, readonly RawEntry[]]> | null): ReadonlyArray<readonly [key: string, entries: readonly RawEntry[]]> {
  return reply === null ? [] : [...reply].map(([key, entries]) => [String(key), entries])
}
