import type { AsyncResource } from 'node:async_hooks'
import { OutgoingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { Flushable } from '../server/write-batch.ts'
import type { Bytes } from '../wire/frame.ts'

/** The property of a destination that holds its writer: one listener serves all, instead of a closure for each. */
const kWriter = Symbol('fastify-rxjs-sse.writer')

/** A destination that compresses has a `flush()`, and holds bytes back until it is called. */
type Destination = Writable & { [kWriter]?: Writer | null, flush?: () => void }

/** How many bytes are written at once. The progress of a slow client within one larger write could not be seen. */
const PIECE = 64 * 1024

/** How many bytes the last piece may have: a few more than the others, as a write of its own would cost more. */
const LAST_PIECE = PIECE + 4 * 1024

const NOTHING = new Uint8Array(0)

const UNKNOWN_WRITE = `fastify-rxjs-sse does not know how Node ${process.version} writes responses. Event streams are ` +
  'right, but each event takes up to twice the time: install a newer fastify-rxjs-sse'

/** The owner of a writer: the outbox of one connection. */
export interface WriterOwner extends Pick<Flushable, 'flush'> {
  /** Nothing can be written any more: the destination threw `error`, or, without one, somebody has ended it. */
  onWriterClosed (error?: unknown): void
}

/**
 * Writes the bytes of one stream to its response, or to the stream that an `onSend` hook has put before the response.
 * Where both come to the same, it writes ready-made chunks to the response's socket, which costs half as much. This is
 * the one place that relies on the inside of Node's HTTP/1.1 response.
 */
export class Writer {
  readonly #response: Destination
  readonly #owner: WriterOwner
  readonly #context: AsyncResource | null
  /** What was written to last: the response, or its socket. */
  #destination: Destination
  /** The response is one of which chunks may be written to the socket. */
  readonly #isChunked: boolean
  #isWriting = false
  /** The last `write()` returned `false`. */
  #isFull = false
  /** The destination has thrown, or has been ended by somebody else. */
  #isClosed = false
  /** The bytes of the current write that have not been written yet. */
  #rest: Uint8Array = NOTHING
  /** There is a listener for `drain`. Most connections never wait, and need none. */
  #isListening = false

  /**
   * @param first The first bytes of the body; the response headers leave with them.
   * @param owner Is flushed when the destination drains.
   * @param context The async context of a destination that is user code, or `null` for the response.
   * @throws What the destination throws.
   */
  constructor (response: Writable, first: Bytes, owner: WriterOwner, context: AsyncResource | null) {
    this.#response = response
    this.#owner = owner
    this.#context = context
    this.#destination = response
    this.#rest = first.bytes
    this.#writePieces()
    this.#isChunked = response instanceof ServerResponse && response.chunkedEncoding
  }

  /** Whether the destination is over its high-water mark: another write would pile up in memory. */
  get isBlocked (): boolean {
    // The destination may ask for more before its write() returns.
    if (this.#isWriting || this.#rest.length > 0 || this.#isClosed) return true
    return this.#isFull && this.#destination.writableNeedDrain !== false
  }

  /** Whether somebody else has ended the response: it waits for a slow client, and takes nothing more. */
  get isEnded (): boolean {
    return this.#response.writableEnded
  }

  get highWaterMark (): number {
    return this.#destination.writableHighWaterMark
  }

  /** How many of the written bytes are still held by Node. */
  get unsentBytes (): number {
    return this.#destination.writableLength + this.#rest.length
  }

  /** Flushes the owner when the destination is not blocked any more. */
  awaitDrain (): void {
    if (this.#isListening || this.#isClosed) return
    this.#isListening = true
    this.#destination[kWriter] = this
    this.#destination.on('drain', onDrain)
  }

  /** Writes bytes. It must not be called while the writer is blocked. It never throws. */
  write (bytes: Bytes): void {
    if (this.isEnded) return this.#close()
    const socket = this.#isChunked && bytes.size <= LAST_PIECE ? freeSocketOf(this.#response) : null
    const destination = socket ?? this.#response
    if (destination !== this.#destination) {
      this.release()
      this.#destination = destination
    }
    this.#rest = socket === null ? bytes.bytes : bytes.chunk
    this.#tryPieces()
  }

  /** Calls back when every written byte has been handed to the system, or cannot be any more. */
  onceHandedOn (callback: () => void): void {
    try {
      this.#response.write(NOTHING, callback)
    } catch {
      callback()
    }
  }

  /** Removes the listener. */
  release (): void {
    if (!this.#isListening) return
    this.#isListening = false
    this.#destination[kWriter] = null
    this.#destination.removeListener('drain', onDrain)
  }

  drained (): void {
    this.#isFull = false
    this.#tryPieces()
    if (!this.isBlocked) this.#owner.flush()
  }

  #tryPieces (): void {
    try {
      this.#writePieces()
    } catch (error) {
      this.#close(error)
    }
  }

  #close (error?: unknown): void {
    this.#isClosed = true
    this.#rest = NOTHING
    this.release()
    this.#owner.onWriterClosed(error)
  }

  /** Writes the rest in pieces, as long as the destination takes them. Each is a chunk of its own. */
  #writePieces (): void {
    while (this.#rest.length > 0) {
      const piece = this.#rest.length > LAST_PIECE ? this.#rest.subarray(0, PIECE) : this.#rest
      this.#rest = this.#rest === piece ? NOTHING : this.#rest.subarray(PIECE)
      this.#isWriting = true
      try {
        this.#isFull = !this.#writePiece(piece)
      } finally {
        this.#isWriting = false
      }
      if (!this.#isFull) continue
      // HTTP/2 has no writableNeedDrain: only the event says that it takes more.
      if (this.#rest.length > 0 || this.#destination.writableNeedDrain === undefined) this.awaitDrain()
      return
    }
  }

  #writePiece (piece: Uint8Array): boolean {
    const destination = this.#destination
    if (this.#context === null) return destination.write(piece)
    return this.#context.runInAsyncScope(() => {
      const isTaken = destination.write(piece)
      if (typeof destination.flush === 'function') destination.flush()
      return isTaken
    })
  }
}

function onDrain (this: Destination): void {
  this[kWriter]?.drained()
}

/**
 * The socket of a response, if `response.write()` would do nothing now but write a chunk (RFC 9112, 7.1) to it; `null`
 * where the response has no socket or holds bytes that must come first (Node 26 corks it for its first write; users may
 * cork it too), and where somebody has wrapped `write`, on the instance or, as tracing agents do, on a prototype.
 */
function freeSocketOf (response: Writable): Socket | null {
  const { socket } = response as ServerResponse
  if (socket === null || response.writableLength !== socket.writableLength) return null
  return response.write === nodeWrite && OutgoingMessage.prototype.write === nodeWrite ? socket : null
}

/** Node's own `write`; `null` where that is not what this module was loaded with, and no chunk goes past it. */
const nodeWrite: unknown = findNodeWrite()

/**
 * Recognises Node's own `write` by its source text: a wrapper, of a tracing agent say, has another. One that begins as
 * Node's own does is of a Node that is not known here, and a warning says why streams cost more on it.
 */
function findNodeWrite (): unknown {
  const { write } = OutgoingMessage.prototype
  const text = Function.prototype.toString.call(write)
  if (text.includes('write_(this')) return write
  if (text.startsWith('function write(')) process.emitWarning(UNKNOWN_WRITE, { code: 'FST_SSE_UNKNOWN_NODE_WRITE' })
  return null
}
