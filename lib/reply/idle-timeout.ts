/** A socket, or an HTTP/2 session. */
export interface Timed {
  timeout?: number
  setTimeout? (milliseconds: number): unknown
  [kSuspended]?: Suspended | null
}

interface Suspended {
  readonly timeout: number
  streams: number
}

const kSuspended = Symbol('fastify-rxjs-sse.suspended')

/** A connection's timeout is for requests; a stream may be silent. Counted, as streams may share a connection. */
export function suspendIdleTimeout (connection: Timed): void {
  const { timeout = 0, [kSuspended]: suspended } = connection
  if (suspended !== undefined && suspended !== null) {
    suspended.streams++
  } else if (timeout > 0) {
    connection[kSuspended] = { timeout, streams: 1 }
    connection.setTimeout?.(0)
  }
}

/** Once for each stream, before its response ends: Node then sets a timeout of its own, until the next request. */
export function resumeIdleTimeout (connection: Timed): void {
  const suspended = connection[kSuspended]
  if (suspended === undefined || suspended === null || --suspended.streams > 0) return
  connection[kSuspended] = null
  connection.setTimeout?.(suspended.timeout)
}
