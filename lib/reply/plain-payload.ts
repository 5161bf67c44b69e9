import type { Writable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Frame } from '../wire/frame.ts'
import { setHeaders } from './headers.ts'
import { HeldReply } from './held-reply.ts'

/** The payload of a reply that has the headers of an event stream, and no stream: HEAD, 204, one connection too many. */
export class PlainPayload extends HeldReply {
  readonly #body: Frame | null

  constructor (reply: FastifyReply, body: Frame | null) {
    super(reply)
    this.#body = body
  }

  /**
   * Holds the reply, and sends the payload in the next turn of the event loop: whatever the handler still returns or
   * throws finds the reply held, and cannot answer beside the error handler when an `onSend` hook fails.
   */
  send (): void {
    this.holdReply()
    setImmediate(() => {
      setHeaders(this.reply)
      this.sendPayload()
    })
  }

  pipe (destination: Writable, options?: { end?: boolean }): Writable {
    if (this.#body !== null) destination.write(this.#body.bytes)
    if (this.endsDestination(destination, options)) destination.end()
    process.nextTick(() => this.emit('end'))
    return destination
  }

  whenOver (callback: () => void): void {
    callback()
  }

  resume (): this {
    return this
  }

  destroy (): this {
    return this
  }

  giveWayToError (): void {}
}
