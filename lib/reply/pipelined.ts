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

/** The property of a socket that holds its waiting responses: one listener serves them all. */
const kWaiting = Symbol('fastify-rxjs-sse.waiting')

type WaitedFor = Socket & { [kWaiting]?: Set<PipelinedResponse> | null }

/** Calls `waiting` once, when the response gets its socket or when the connection closes. Gives a way to stop. */
export function awaitSocket (response: ServerResponse, socket: WaitedFor, waiting: PipelinedResponse): () => void {
  const stop = (): void => {
    response.removeListener('socket', onSocket)
    const all = socket[kWaiting]
    if (all?.delete(waiting) !== true || all.size > 0) return
    socket[kWaiting] = null
    socket.removeListener('close', onClose)
  }
  const onSocket = (): void => {
    stop()
    waiting.onSocket()
  }
  response.once('socket', onSocket)
  const all = socket[kWaiting]
  if (all !== undefined && all !== null) {
    all.add(waiting)
  } else {
    socket[kWaiting] = new Set([waiting])
    socket.once('close', onClose)
  }
  return stop
}

function onClose (this: WaitedFor): void {
  callEach(this[kWaiting] ?? [], (waiting) => waiting.onSocketClose())
}
