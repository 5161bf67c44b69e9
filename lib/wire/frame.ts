/** Below this many characters, to join the text and encode it at once is cheaper than to copy it piece by piece. */
const SHORT = 1024

/** Bytes that are written at once: of one frame, or of several that leave together. */
export interface Bytes {
  readonly size: number
  readonly bytes: Uint8Array
  /** The bytes as a chunk of a chunked HTTP/1.1 body (RFC 9112, 7.1), with its size before and a line end behind. */
  readonly chunk: Uint8Array
}

/**
 * One event as it goes on the wire. Never changed, so that many connections may share it.
 *
 * It is kept as text until it is written: most of what waits for a stalled client is dropped in the end, and the text
 * is often the source's own.
 */
export class Frame implements Bytes {
  readonly #head: string
  readonly #body: string
  readonly #tail: string
  readonly size: number
  #chunk: Buffer | null
  #keepsBytes: boolean

  constructor (head: string, body = '', tail = '') {
    this.#head = head
    this.#body = body
    this.#tail = tail
    this.size = Buffer.byteLength(head) + Buffer.byteLength(body) + tail.length
    this.#chunk = null
    this.#keepsBytes = false
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

  /** Whether the bytes are made once, or each time: those of a frame that waits would double what it takes. */
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

/** Several frames that leave together. */
export class JoinedFrames implements Bytes {
  readonly size: number
  readonly chunk: Buffer

  constructor (frames: readonly Frame[]) {
    this.size = frames.reduce((size, frame) => size + frame.size, 0)
    // A text is encoded at once, where frame by frame would make a buffer of each.
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

/** A frame that is sent again and again. */
export function fixedFrame (text: string): Frame {
  const frame = new Frame(text)
  frame.keepsBytes = true
  return frame
}

/** What a waiting frame costs besides its bytes. */
export const OVERHEAD = 128

/** What a frame counts for where frames are held: its bytes and the overhead, in bytes. */
export function sizeOf (frame: Frame): number {
  return frame.size + OVERHEAD
}
