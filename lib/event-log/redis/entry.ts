import type { EventLogLogger } from '../../../types/event-log.ts'
import { LogEntry } from '../entry.ts'
import type { Content } from '../entry.ts'

/** An entry as Redis returns it: its id, and the names and values of its fields by turns. */
export type RawEntry = readonly [id: unknown, fields: readonly unknown[]]

/**
 * The reply of `XREAD`: each key with its entries, in a list or, with RESP3, in a `Map`. It is `null` if there were no
 * entries within the time to wait.
 */
export type StreamsReply = Iterable<readonly [key: unknown, entries: readonly RawEntry[]]> | null

/** The id of an entry, or `null` if there is no entry. */
export function idOf (raw: RawEntry | undefined): string | null {
  return raw === undefined ? null : String(raw[0])
}

/**
 * Makes the fields of a stream entry, names and values by turns. The data is in the field `data` if it is JSON, and in
 * `text` if it is a string; the other fields are named as those of a message. Other programs may append such entries.
 */
export function fieldsOf ({ text, isJson, type, retry, comment }: Content): string[] {
  const fields: string[] = []
  if (text !== undefined) fields.push(isJson ? 'data' : 'text', text)
  if (type !== undefined) fields.push('type', type)
  if (retry !== undefined) fields.push('retry', String(retry))
  if (comment !== undefined) fields.push('comment', comment)
  return fields
}

/** Makes the log's entry of a stream entry. Throws if its fields are not those of an event. */
function entryOf ([id, list]: RawEntry): LogEntry {
  const fields: Record<string, string | undefined> = Object.create(null)
  for (let i = 0; i < list.length; i += 2) fields[String(list[i])] = String(list[i + 1])
  const { data, text, type, retry, comment } = fields
  if (data === undefined && text === undefined && type === undefined) throw new Error('it has no data, text or type')
  // Text that is no JSON is refused here, or it would fail each reader that parses it.
  if (data !== undefined) JSON.parse(data)
  return new LogEntry(String(id), Number.parseInt(String(id)), {
    text: data ?? text,
    isJson: data !== undefined,
    type,
    retry: retry === undefined ? undefined : Number(retry),
    comment
  })
}

/** The number of invalid entries whose ids are remembered, so that each is logged once. */
const MAX_LOGGED = 1_000

/** Parses the entries of one stream, and logs those that are no events. */
export class EntryParser {
  readonly #key: string
  readonly #logger: EventLogLogger
  /** The ids of the invalid entries that were logged. */
  readonly #logged = new Set<string>()

  constructor (key: string, logger: EventLogLogger) {
    this.#key = key
    this.#logger = logger
  }

  /** Makes the log's entry of a stream entry, or `null` if that is no event: other programs may append anything. */
  parse (raw: RawEntry): LogEntry | null {
    try {
      return entryOf(raw)
    } catch (error) {
      this.#warnOnce(String(raw[0]), error)
      return null
    }
  }

  /** Logs an invalid entry, unless it was logged when it was read before: each reader of its page parses it again. */
  #warnOnce (id: string, error: unknown): void {
    if (this.#logged.has(id)) return
    if (this.#logged.size === MAX_LOGGED) this.#logged.clear()
    this.#logged.add(id)
    this.#logger.warn({ err: error, key: this.#key, id }, 'an entry of an event log is no event')
  }
}
