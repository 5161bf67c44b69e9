import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { callEach } from '../isolate.ts'

/** A response that waits for its socket, as requests that were pipelined before its own are answered first. */
export interface PipelinedResponse {
  /** The response has its socket now. */
  onSocket (): void
  /** The connection has closed before. Node does not tell the response. */
  onSocketClose (): void
}

/** The responses that wait for one socket. One listener on the socket serves them all. */
class WaitingResponses {
  readonly #responses = new Set<PipelinedResponse>()
  readonly #socket: WaitedFor
  readonly #onClose = (): void => callEach(this.#responses, (response) => response.onSocketClose())

  constructor (socket: WaitedFor) {
    this.#socket = socket
    socket[kWaiting] = this
    socket.once('close', this.#onClose)
  }

  add (response: PipelinedResponse): void {
    this.#responses.add(response)
  }

  delete (response: PipelinedResponse): void {
    this.#responses.delete(response)
    if (this.#responses.size > 0) return
    this.#socket[kWaiting] = null
    this.#socket.removeListener('close', this.#onClose)
  }
}

/** The property of a socket that holds its waiting responses. */
const kWaiting = Symbol('fastify-rxjs-sse.waiting')

type WaitedFor = Socket & { [kWaiting]?: WaitingResponses | null }

/** Calls `waiting` once, when the response gets its socket or when the connection closes. Gives a way to stop. */
export function awaitSocket (response: ServerResponse, socket: WaitedFor, waiting: PipelinedResponse): () => void {
  const all = socket[kWaiting] ?? new WaitingResponses(socket)
  all.add(waiting)
  const stop = (): void => {
    response.removeListener('socket', onSocket)
    all.delete(waiting)
  }
  const onSocket = (): void => {
    stop()
    waiting.onSocket()
  }
  response.once('socket', onSocket)
  return stop
}
