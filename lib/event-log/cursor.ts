import type { EventLogGap } from '../../types/event-log.ts'
import type { LogEntry } from './entry.ts'

/** The place of one reader in a log. */
export interface Cursor {
  /** Returns the next item, or `null` if there is none yet. The cursor then calls `wake()` when there may be one. */
  next (): LogEntry | Notice | null
  /** Ends the use of the cursor, which never calls `wake()` again. */
  close (): void
}

/** Opens a cursor, which calls `wake` when there may be another item. */
export type OpenCursor = (wake: () => void) => Cursor

/** What a cursor returns between entries. */
export type Notice = Gap | Bookmark

/** A notice that events are missing between the item before it and the item after it. */
export class Gap implements EventLogGap {
  readonly lastEventId: string | null
  readonly oldest: string | null

  constructor (lastEventId: string | null, oldest: string | null) {
    this.lastEventId = lastEventId
    this.oldest = oldest
  }
}

/**
 * A notice of the id after which the reader goes on. An event stream sends it as a block that has an id and no data.
 * Such a block fires no event, and sets the last event ID (WHATWG HTML, 9.2.6; of the browsers, Chromium does so): a
 * client that loses its connection before its first event then resumes from that id, and misses nothing.
 */
export class Bookmark {
  readonly id: string

  constructor (id: string) {
    this.id = id
  }
}
