import type { Http2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'

/** The HTTP/2 sessions of a server: on Node 20, it waits until its clients have closed them. */
export class Sessions {
  readonly #sockets: Map<Http2Session, Socket | null>
  #isClosing: boolean

  constructor () {
    this.#sockets = new Map()
    this.#isClosing = false
  }

  get size (): number {
    return this.#sockets.size
  }

  /** Hears of each session that the server makes, and of the socket under it, which the session does not tell. */
  listen (server: Server): void {
    if (!('updateSettings' in server)) return
    let socket: Socket | null = null
    const onConnection = (latest: Socket) => { socket = latest }
    // Before Node's own listener, which makes the session.
    server.prependListener('connection', onConnection)
    server.prependListener('secureConnection', onConnection)
    server.on('session', (session: Http2Session) => this.add(session, socket))
  }

  add (session: Http2Session, socket: Socket | null = null): void {
    if (this.#sockets.has(session)) return
    this.#sockets.set(session, socket)
    session.once('close', () => this.#sockets.delete(session))
    if (this.#isClosing) session.close()
  }

  /** Lets each session end when its streams have. */
  close (): void {
    this.#isClosing = true
    for (const session of this.#sockets.keys()) session.close()
  }

  /** Ends those too whose peer reads nothing any more: no reset could leave, and so only the socket is left to end. */
  destroy (): void {
    for (const [session, socket] of this.#sockets) {
      session.destroy()
      socket?.destroy()
    }
  }
}
