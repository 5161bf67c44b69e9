import { connect } from 'node:net'
import { MARKER } from './events.mjs'

/** More than one address may have ports for. */
const CONNECTIONS_PER_ADDRESS = 20_000

const marker = MARKER.charCodeAt(0)
/** All read into one buffer: the bytes are counted before the next are read. */
const buffer = Buffer.allocUnsafe(64 * 1024)

/** One connection that counts events, and does nothing else with them. */
export class Reader {
  #socket
  #onOpen
  #onEvents
  #onEnd
  #head
  #events

  constructor ({ port, path, lastEventId, index }, { onOpen, onEvents, onEnd }) {
    this.#onOpen = onOpen
    this.#onEvents = onEvents
    this.#onEnd = onEnd
    this.#head = ''
    this.#events = 0
    const localAddress = `127.0.0.${1 + Math.floor(index / CONNECTIONS_PER_ADDRESS)}`
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      ...(index < CONNECTIONS_PER_ADDRESS ? {} : { localAddress }),
      noDelay: true,
      onread: { buffer, callback: (length) => this.#read(buffer.subarray(0, length)) }
    })
    const resume = lastEventId === undefined ? '' : `last-event-id: ${lastEventId}\r\n`
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n${resume}\r\n`)
    this.#socket.on('error', (error) => this.#end(error))
    this.#socket.on('close', () => this.#end(new Error(`closed by the server after ${this.#events} events`)))
  }

  get events () {
    return this.#events
  }

  close () {
    this.#onEnd = null
    this.#socket.destroy()
  }

  #read (bytes) {
    if (this.#head !== null) this.#readHead(bytes)
    let count = 0
    for (let i = bytes.indexOf(marker); i !== -1; i = bytes.indexOf(marker, i + 1)) count++
    if (count === 0) return true
    this.#events += count
    this.#onEvents(this.#events - count, this.#events)
    return true
  }

  #readHead (bytes) {
    this.#head += bytes.latin1Slice()
    if (!this.#head.includes('\r\n\r\n')) return
    if (!/^HTTP\/1\.1 200 .*\r\ncontent-type: *text\/event-stream/is.test(this.#head)) {
      return this.#end(new Error(`the answer is no event stream: ${this.#head}`))
    }
    this.#head = null
    this.#onOpen()
  }

  #end (error) {
    this.#onEnd?.(error)
    this.close()
  }
}
