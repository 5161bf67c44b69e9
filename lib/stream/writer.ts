import type { AsyncResource } from 'node:async_hooks'
import { OutgoingMessage, ServerResponse } from 'node:http'
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

/**
 * Writes the bytes of one stream to its response, or to the stream that an `onSend` hook has put before the response.
 * Where both come to the same, it writes ready-made chunks to the response's socket, which costs half as much. This is
 * the one place that relies on the inside of Node's HTTP/1.1 response.
 */
export class Writer {
  readonly #response: Destination
  readonly #source: Flushable
  readonly #context: AsyncResource | null
  /** The response, or its socket. */
  #destination: Destination
  /** The destination may still change from the response to its socket. */
  #mayWriteToSocket = true
  #isWriting = false
  /** The last `write()` returned `false`. */
  #isFull = false
  /** The bytes of the current write that have not been written yet. */
  #rest: Uint8Array = NOTHING
  /** There is a listener for `drain`. Most connections never wait, and need none. */
  #isListening = false

  /**
   * @param source Is flushed when the destination drains.
   * @param context The async context of a destination that is user code, or `null` for the response.
   */
  constructor (response: Writable, source: Flushable, context: AsyncResource | null) {
    this.#response = response
    this.#source = source
    this.#context = context
    this.#destination = response
  }

  /** Whether the destination is over its high-water mark: another write would pile up in memory. */
  get isBlocked (): boolean {
    // The destination may ask for more before its write() returns.
    if (this.#isWriting || this.#rest.length > 0) return true
    return this.#isFull && this.#destination.writableNeedDrain !== false
  }

  get highWaterMark (): number {
    return this.#destination.writableHighWaterMark
  }

  /** How many of the written bytes are still held by Node. */
  get unsentBytes (): number {
    return this.#destination.writableLength + this.#rest.length
  }

  /** Writes the first bytes of the body, and with them the response headers. */
  open (first: Bytes): void {
    this.#rest = first.bytes
    this.#writePieces()
    this.#chooseDestination()
  }

  /** Flushes the source when the destination is not blocked any more. */
  awaitDrain (): void {
    if (this.#isListening) return
    this.#isListening = true
    this.#destination[kWriter] = this
    this.#destination.on('drain', onDrain)
  }

  /** Writes bytes. It must not be called while the writer is blocked. */
  write (bytes: Bytes): void {
    if (this.#mayWriteToSocket) this.#chooseDestination()
    this.#rest = this.#destination === this.#response ? bytes.bytes : bytes.chunk
    this.#writePieces()
  }

  /** Calls back when every written byte has been handed to the system, or cannot be any more. */
  onceHandedOn (callback: () => void): void {
    this.#response.write(NOTHING, callback)
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
    this.#writePieces()
    if (!this.isBlocked) this.#source.flush()
  }

  #writePieces (): void {
    while (this.#rest.length > 0) {
      const piece = this.#rest.length > LAST_PIECE ? this.#rest.subarray(0, PIECE) : this.#rest
      this.#rest = this.#rest === piece ? NOTHING : this.#rest.subarray(PIECE)
      this.#isWriting = true
      this.#isFull = !this.#writePiece(piece)
      this.#isWriting = false
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

  /**
   * Goes on with the response's socket, where that is possible. The response may hold bytes that must come first: Node
   * 26 corks it for its first write, so that the question is asked again at the next ones.
   */
  #chooseDestination (): void {
    const response = this.#response
    if (!writesPlainChunks(response)) {
      this.#mayWriteToSocket = false
      return
    }
    const { socket } = response
    if (socket === null || response.writableLength !== socket.writableLength) return
    this.#mayWriteToSocket = false
    this.release()
    this.#destination = socket
  }
}

function onDrain (this: Destination): void {
  this[kWriter]?.drained()
}

/** Whether `response.write()` does nothing but write a chunk (RFC 9112, 7.1) to the socket. */
function writesPlainChunks (response: Writable): response is ServerResponse {
  return response instanceof ServerResponse && response.chunkedEncoding && !response.writableEnded &&
    hasOwnWrite(response)
}

/** Whether nobody has wrapped `write`, on the instance or, as tracing agents do, on a prototype. */
function hasOwnWrite (response: ServerResponse): boolean {
  return response.write === nodeWrite && OutgoingMessage.prototype.write === nodeWrite
}

/** Node's own `write`, unless it was wrapped before this module was loaded. */
const nodeWrite: unknown = Function.prototype.toString.call(OutgoingMessage.prototype.write).includes('write_(this')
  ? OutgoingMessage.prototype.write
  : null
