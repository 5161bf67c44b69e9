import type { AsyncResource } from 'node:async_hooks'
import { OutgoingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { Bytes } from '../wire/frame.ts'
import type { Flushable } from '../server/write-batch.ts'

/** Where a destination keeps its writer: one listener serves all, instead of a closure for each connection. */
const kWriter = Symbol('fastify-rxjs-sse.writer')

/** A destination that compresses keeps bytes back until it is flushed. */
type Destination = Writable & { [kWriter]?: Writer | null, flush?: () => void }

/** How much is handed on at once: of one large write, nobody could tell that a slow client takes it bit by bit. */
const PIECE = 64 * 1024

/** A little more may go with the last piece: a write of its own would cost more than it tells. */
const LAST_PIECE = PIECE + 4 * 1024

const NOTHING = new Uint8Array(0)

/** Where the bytes of one stream go: a response, its socket, or whatever an `onSend` hook put before it. */
export class Writer {
  readonly #response: Destination
  readonly #source: Flushable
  readonly #context: AsyncResource | null
  /** The response, or its socket, where that comes to the same. */
  #destination: Destination
  #isWriting: boolean
  /** The last write() returned `false`. */
  #isFull: boolean
  /** What of the last bytes has not been handed on yet. */
  #rest: Uint8Array
  /** Most connections never have anything waiting, and need no listener. */
  #isListening: boolean

  /** What a hook put before the response is user code, and runs in `context`. */
  constructor (response: Writable, source: Flushable, context: AsyncResource | null) {
    this.#response = response
    this.#source = source
    this.#context = context
    this.#destination = response
    this.#isWriting = false
    this.#isFull = false
    this.#rest = NOTHING
    this.#isListening = false
  }

  /** Over the destination's high-water mark: what is written now would pile up in it. */
  get isBlocked (): boolean {
    // It may ask for more before write() returns.
    if (this.#isWriting || this.#rest.length > 0) return true
    return this.#isFull && this.#destination.writableNeedDrain !== false
  }

  get highWaterMark (): number {
    return this.#destination.writableHighWaterMark
  }

  /** How many bytes have not left Node yet. */
  get unsentBytes (): number {
    return this.#destination.writableLength + this.#rest.length
  }

  /** The head, and the first bytes of the body. */
  open (first: Bytes): void {
    this.write(first)
    if (!this.#isListening) this.#destination = chunkedSocketOf(this.#response) ?? this.#response
  }

  /** Has the source flushed when it is not blocked any more. */
  awaitDrain (): void {
    if (this.#isListening) return
    this.#isListening = true
    this.#destination[kWriter] = this
    this.#destination.on('drain', onDrain)
  }

  /** Not to be called while it is blocked. */
  write (bytes: Bytes): void {
    this.#rest = this.#destination === this.#response ? bytes.bytes : bytes.chunk
    this.#handOn()
  }

  /** Calls back when all that was written has been handed on, or cannot be any more. */
  onceWritten (callback: () => void): void {
    this.#response.write(NOTHING, callback)
  }

  release (): void {
    if (!this.#isListening) return
    this.#isListening = false
    this.#destination[kWriter] = null
    this.#destination.removeListener('drain', onDrain)
  }

  drained (): void {
    this.#isFull = false
    this.#handOn()
    if (!this.isBlocked) this.#source.flush()
  }

  #handOn (): void {
    while (this.#rest.length > 0) {
      const piece = this.#rest.length > LAST_PIECE ? this.#rest.subarray(0, PIECE) : this.#rest
      this.#rest = this.#rest === piece ? NOTHING : this.#rest.subarray(PIECE)
      this.#isWriting = true
      this.#isFull = !this.#writePiece(piece)
      this.#isWriting = false
      if (!this.#isFull) continue
      // Without an event, HTTP/2 does not tell that it takes more.
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
 * The socket of a response whose chunks may as well be written to it directly, which costs half as much: an HTTP/1.1
 * response with a chunked body that owns its socket, and has nothing waiting that would then come behind.
 */
function chunkedSocketOf (response: Writable): Socket | null {
  if (!(response instanceof ServerResponse) || !response.chunkedEncoding || response.writableEnded) return null
  const { socket } = response
  if (socket === null || response.writableLength !== socket.writableLength) return null
  return hasOwnWrite(response) ? socket : null
}

/** Nobody has wrapped `write`, on the instance or, as tracing agents do, on a prototype. */
function hasOwnWrite (response: ServerResponse): boolean {
  return response.write === nodeWrite && OutgoingMessage.prototype.write === nodeWrite
}

/** Node's own, unless it had been wrapped before this module was loaded. */
const nodeWrite: unknown = Function.prototype.toString.call(OutgoingMessage.prototype.write).includes('write_(this')
  ? OutgoingMessage.prototype.write
  : null
