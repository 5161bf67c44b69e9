import type { EventLogGap, EventLogMap, EventLogOptions } from '../../types/event-log.ts'
import { checkChoice, checkCount, checkFunction, checkOptions, checkSignal, invalidOption } from '../check.ts'
import type { Members } from '../check.ts'
import { isId } from '../wire/event-id.ts'
import type { Bounds } from './ring.ts'

/** The options of a log, checked and with their defaults. */
export interface ResolvedLogOptions {
  readonly bounds: Bounds
  /** The place at which a reader without an id begins. */
  readonly from: 'now' | 'start'
  readonly gap: NonNullable<EventLogOptions['gap']>
  /**
   * The number of events that a filter may leave out in a row before the client is sent the id of the last of them as a
   * bookmark. It is at most half of `maxEvents`, so that the log still holds what follows when the client resumes.
   */
  readonly bookmarkEvery: number
}

/** The options of `after()`, checked. */
export interface ReadOptions {
  readonly filter: EventLogMap['filter']
  readonly map: EventLogMap['map'] | undefined
  readonly signal: EventLogMap['signal']
}

const MAX_BOOKMARK_EVERY = 100

/** The options that every kind of log has. */
export const LOG_OPTION_NAMES = ['maxEvents', 'maxBytes', 'maxAge', 'from', 'gap'] as const satisfies
  ReadonlyArray<keyof EventLogOptions>

const READ_OPTION_NAMES = ['filter', 'map', 'signal'] as const satisfies ReadonlyArray<keyof EventLogMap>

/** Checks the values of a log's options. Throws `FST_SSE_INVALID_OPTION`. */
export function resolveLogOptions (options: Members<(typeof LOG_OPTION_NAMES)[number]>): ResolvedLogOptions {
  const { maxEvents = 10_000, maxBytes = 16 * 1024 * 1024, maxAge = false, from = 'now', gap = gapEvent } = options
  const bounds = {
    maxEvents: checkCount('maxEvents', maxEvents, 'events'),
    maxBytes: checkCount('maxBytes', maxBytes, 'bytes'),
    maxAge: maxAge === false ? Infinity : checkCount('maxAge', maxAge, 'milliseconds', 1, ', or false')
  }
  return {
    bounds,
    from: checkChoice('from', from, ['now', 'start']),
    gap: checkFunction<ResolvedLogOptions['gap']>('gap', gap),
    bookmarkEvery: Math.max(1, Math.min(MAX_BOOKMARK_EVERY, Math.floor(bounds.maxEvents / 2)))
  }
}

/** Checks the options of `after()`. Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`. */
export function resolveReadOptions (options: unknown): ReadOptions {
  const { filter, map, signal } = checkOptions(options, READ_OPTION_NAMES)
  return {
    filter: filter === undefined ? undefined : checkFunction<NonNullable<ReadOptions['filter']>>('filter', filter),
    map: map === undefined ? undefined : checkFunction<EventLogMap['map']>('map', map),
    signal: signal === undefined ? undefined : checkSignal('signal', signal)
  }
}

/**
 * Checks the id that was given to `after()`. Returns `''` if there is none, and `null` if it has characters or a length
 * that no id has: a client may send a megabyte, which would be held as long as its reader reads. Throws
 * `FST_SSE_INVALID_OPTION` if it is no string.
 */
export function resolveLastEventId (lastEventId: unknown): string | null {
  if (lastEventId === undefined) return ''
  if (typeof lastEventId !== 'string') throw invalidOption('lastEventId', 'a string', lastEventId)
  return isId(lastEventId) ? lastEventId : null
}

/** Makes the default message of a gap. Its data is a string, which no serializer is given: one expects a log's data. */
export function gapEvent (gap: EventLogGap): { type: string, data: string } {
  return { type: 'gap', data: JSON.stringify(gap) }
}
