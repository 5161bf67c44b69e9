import type { Http2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'
import { callEach } from '../isolate.ts'

/** The HTTP/2 sessions of a server. On Node 20, a server that closes waits until its clients have closed them. */
export class Http2Sessions {
  readonly #sockets: Map<Http2Session, Socket | null> = new Map()
  #isClosing = false

  /** How many sessions are open. */
  get size (): number {
    return this.#sockets.size
  }

  /** Adds each session that the server makes from now on, with its socket, which a session does not give away. */
  listen (server: Server): void {
    if (!('updateSettings' in server)) return
    let socket: Socket | null = null
    const onConnection = (latest: Socket) => { socket = latest }
    // These run before Node's own listener, which makes the session.
    server.prependListener('connection', onConnection)
    server.prependListener('secureConnection', onConnection)
    server.on('session', (session: Http2Session) => this.add(session, socket))
  }

  /** Adds a session, if it is not known yet, until it closes. Closes it at once if the server is closing. */
  add (session: Http2Session, socket: Socket | null = null): void {
    if (this.#sockets.has(session)) return
    this.#sockets.set(session, socket)
    session.once('close', () => this.#sockets.delete(session))
    if (this.#isClosing) session.close()
  }

  /** Closes each session as soon as its streams have ended, and takes no new ones. */
  close (): void {
    this.#isClosing = true
    callEach(this.#sockets.keys(), (session) => session.close())
  }

  /**
   * Closes all sessions at once. Their sockets are destroyed as well: a peer that has stopped reading takes no reset,
   * and would keep the connection open.
   */
  destroy (): void {
    callEach(this.#sockets, ([session, socket]) => {
      session.destroy()
      socket?.destroy()
    })
  }
}
