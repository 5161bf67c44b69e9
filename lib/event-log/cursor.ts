import type { EventLogGap } from '../../types/event-log.ts'
import type { LogEntry } from './entry.ts'

/** Where one reader is in a log. */
export interface Cursor {
  /** The next item, or `null` where there is none yet: the reader's `wake()` is called when there may be. */
  next (): LogEntry | Gap | Bookmark | null
  close (): void
}

/** Something is missing between what came before and what comes next. */
export class Gap implements EventLogGap {
  readonly lastEventId: string | null
  readonly oldest: string | null

  constructor (lastEventId: string | null, oldest: string | null) {
    this.lastEventId = lastEventId
    this.oldest = oldest
  }
}

/**
 * Where a reader begins that has no id: were it cut off before its first event, it would miss what comes meanwhile.
 * Browsers may take it from a block that has nothing but an id, which fires no event.
 */
export class Bookmark {
  readonly id: string

  constructor (id: string) {
    this.id = id
  }
}

export type OpenCursor = (wake: () => void) => Cursor
