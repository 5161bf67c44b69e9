import type { EventLogGap, EventLogOptions, EventLogMap } from '../../types/event-log.ts'
import { FST_SSE_INVALID_OPTION, FST_SSE_UNKNOWN_OPTION } from '../errors.ts'
import { preview } from '../preview.ts'
import { isId } from '../wire/event-id.ts'
import type { Bounds } from './ring.ts'

export interface ResolvedLogOptions {
  readonly bounds: Bounds
  readonly from: 'now' | 'start'
  readonly gap: NonNullable<EventLogOptions['gap']>
  /** How many events a filter leaves out before a client is told where it is, which must then still be held. */
  readonly bookmarkEvery: number
}

const MAX_BOOKMARK_EVERY = 100

const NAMES: ReadonlyArray<keyof EventLogOptions> = ['maxEvents', 'maxBytes', 'maxAge', 'from', 'gap']
const READ_NAMES: ReadonlyArray<keyof EventLogMap> = ['filter', 'map', 'signal']

/** Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`. */
export function resolveLogOptions (options: EventLogOptions): ResolvedLogOptions {
  checkNames(options, NAMES)
  const { maxEvents = 10_000, maxBytes = 16 * 1024 * 1024, maxAge = false, from = 'now', gap = gapEvent } = options
  if (from !== 'now' && from !== 'start') throw invalid('from', "'now' or 'start'", from)
  checkFunction('gap', gap)
  checkCount('maxEvents', maxEvents, 'events')
  return {
    bounds: {
      maxEvents,
      maxBytes: checkCount('maxBytes', maxBytes, 'bytes'),
      maxAge: maxAge === false ? Infinity : checkCount('maxAge', maxAge, 'milliseconds', ', or false')
    },
    from,
    gap,
    bookmarkEvery: Math.max(1, Math.min(MAX_BOOKMARK_EVERY, Math.floor(maxEvents / 2)))
  }
}

/** Throws for what `after()` was given. */
export function checkReading (lastEventId: unknown, options: object): void {
  if (lastEventId !== undefined && typeof lastEventId !== 'string') {
    throw invalid('lastEventId', 'a string', lastEventId)
  }
  checkNames(options, READ_NAMES)
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (name !== 'signal') checkFunction(name, value)
    else if (!(value instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', value)
  }
}

/** An id as a gap tells it: what no id can be may be a megabyte of anything. */
export function showId (lastEventId: string): string | null {
  return isId(lastEventId) ? lastEventId : null
}

/** Its data is text, so that a serializer for the data of the log's events does not see it. */
export function gapEvent (gap: EventLogGap): { type: string, data: string } {
  return { type: 'gap', data: JSON.stringify(gap) }
}

function checkNames (options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object', options)
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new FST_SSE_UNKNOWN_OPTION(name, `there are ${names.join(', ')}`)
  }
}

function checkCount (option: string, value: unknown, unit: string, orElse = ''): number {
  if (!Number.isSafeInteger(value) || Number(value) < 1) {
    throw invalid(option, `a whole number of ${unit} from 1${orElse}`, value)
  }
  return Number(value)
}

function checkFunction (option: string, value: unknown): void {
  if (typeof value !== 'function') throw invalid(option, 'a function', value)
}

function invalid (option: string, expected: string, value: unknown): Error {
  return new FST_SSE_INVALID_OPTION(option, expected, preview(value))
}
