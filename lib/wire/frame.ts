/**
 * With a body shorter than this, in characters, it is faster to join the three texts of a frame and encode them at
 * once.
 */
const SHORT = 1024

/** The bytes that are written with one call: those of one frame, or of several. */
export interface Bytes {
  /** The number of `bytes`. */
  readonly size: number
  readonly bytes: Uint8Array
  /** The bytes as a chunk of a chunked HTTP/1.1 body (RFC 9112, 7.1): after their number, and before a line end. */
  readonly chunk: Uint8Array
}

/**
 * One event as it is sent. A frame never changes, so that many connections may share it.
 *
 * A frame holds text until it is written: most frames that wait for a stalled client are dropped in the end, and the
 * text is often a string that the source holds anyway.
 */
export class Frame implements Bytes {
  readonly #head: string
  readonly #body: string
  readonly #tail: string
  readonly size: number
  #chunk: Buffer | null = null
  #keepsBytes = false

  constructor (head: string, body = '', tail = '') {
    this.#head = head
    this.#body = body
    this.#tail = tail
    this.size = Buffer.byteLength(head) + Buffer.byteLength(body) + tail.length
  }

  get bytes (): Buffer {
    return bytesOfChunk(this.chunk, this.size)
  }

  get chunk (): Buffer {
    if (this.#chunk !== null) return this.#chunk
    const chunk = this.#encode()
    if (this.#keepsBytes) this.#chunk = chunk
    return chunk
  }

  /** Whether the bytes are made once, and not at each use. A frame that waits would take twice the memory with them. */
  get keepsBytes (): boolean {
    return this.#keepsBytes
  }

  set keepsBytes (keepsBytes: boolean) {
    this.#keepsBytes = keepsBytes
    if (!keepsBytes) this.#chunk = null
  }

  toString (): string {
    return this.#head + this.#body + this.#tail
  }

  #encode (): Buffer {
    const before = chunkSize(this.size)
    if (this.#body.length < SHORT) return Buffer.from(`${before}${this.#head}${this.#body}${this.#tail}\r\n`)
    const chunk = allocateChunk(before, this.size)
    let end = before.length
    end += chunk.write(this.#head, end)
    end += chunk.write(this.#body, end)
    chunk.write(this.#tail, end)
    return chunk
  }
}

/** The bytes of several frames, which are written with one call. */
export class JoinedFrames implements Bytes {
  readonly size: number
  readonly chunk: Buffer

  constructor (frames: readonly Frame[]) {
    this.size = frames.reduce((size, frame) => size + frame.size, 0)
    // To encode the joined text is faster than to encode each frame and copy the buffers.
    this.chunk = Buffer.from(`${chunkSize(this.size)}${frames.join('')}\r\n`)
  }

  get bytes (): Buffer {
    return bytesOfChunk(this.chunk, this.size)
  }
}

function chunkSize (size: number): string {
  return `${size.toString(16)}\r\n`
}

function allocateChunk (before: string, size: number): Buffer {
  const chunk = Buffer.allocUnsafe(before.length + size + 2)
  chunk.write(before, 'latin1')
  chunk.write('\r\n', before.length + size, 'latin1')
  return chunk
}

function bytesOfChunk (chunk: Buffer, size: number): Buffer {
  return chunk.subarray(chunk.length - size - 2, chunk.length - 2)
}

/** Makes a frame that is sent many times, and so keeps its bytes. */
export function fixedFrame (text: string): Frame {
  const frame = new Frame(text)
  frame.keepsBytes = true
  return frame
}

/** What a frame that is held costs besides its bytes: an estimate, in bytes. */
export const OVERHEAD = 128

/** What a frame counts for against a bound in bytes: its own, and the overhead. */
export function sizeOf (frame: Frame): number {
  return frame.size + OVERHEAD
}
