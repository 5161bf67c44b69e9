/** A connection with an idle timeout: a socket, or an HTTP/2 session. */
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

/**
 * Turns the idle timeout of a connection off while a stream is open on it: the timeout is meant for requests, and a
 * stream may be silent. Streams are counted, as HTTP/2 has many on one connection.
 */
export function suspendIdleTimeout (connection: Timed): void {
  const { timeout = 0, [kSuspended]: suspended } = connection
  if (suspended !== undefined && suspended !== null) {
    suspended.streams++
  } else if (timeout > 0) {
    connection[kSuspended] = { timeout, streams: 1 }
    connection.setTimeout?.(0)
  }
}

/**
 * Gives a connection its idle timeout back when its last stream ends. It is called once for each stream, before the
 * response ends: Node then sets its keep-alive timeout until the next request.
 */
export function resumeIdleTimeout (connection: Timed): void {
  const suspended = connection[kSuspended]
  if (suspended === undefined || suspended === null || --suspended.streams > 0) return
  connection[kSuspended] = null
  connection.setTimeout?.(suspended.timeout)
}
