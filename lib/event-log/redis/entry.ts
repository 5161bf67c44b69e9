import type { EventLogLogger } from '../../../types/event-log.ts'
import { LogEntry } from '../entry.ts'
import type { Content } from '../entry.ts'

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
function entryOf ([id, list]: RawEntry): LogEntry {
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

/** As Redis replies. */
export type RawEntry = readonly [id: unknown, fields: readonly unknown[]]

export function idOf (raw: RawEntry | undefined): string | null {
  return raw === undefined ? null : String(raw[0])
}

/** What `XREAD` replies, by keys: a list of pairs, with RESP3 a `Map`, or `null` where nothing came. */
export type StreamsReply = Iterable<readonly [key: unknown, entries: readonly RawEntry[]]> | null

/** How many entries that are no events are remembered, so that each is told once. */
const MAX_TOLD = 1_000

/** Makes events of the entries of one stream. */
export class EntryParser {
  readonly #key: string
  readonly #logger: EventLogLogger
  readonly #told: Set<string>

  constructor (key: string, logger: EventLogLogger) {
    this.#key = key
    this.#logger = logger
    this.#told = new Set()
  }

  /** `null` for what is no event: another program may have added anything. */
  parse (raw: RawEntry): LogEntry | null {
    try {
      return entryOf(raw)
    } catch (error) {
      this.#tell(String(raw[0]), error)
      return null
    }
  }

  /** Once, though it is read whenever somebody reads the page that it is on. */
  #tell (id: string, error: unknown): void {
    if (this.#told.has(id)) return
    if (this.#told.size === MAX_TOLD) this.#told.clear()
    this.#told.add(id)
    this.#logger.warn({ err: error, key: this.#key, id }, 'an entry of an event log is no event')
  }
}
