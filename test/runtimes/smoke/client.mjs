/** Clients of HTTP/1.1, read by hand, and of HTTP/2: with Node's sockets alone, so that every runtime has the same. */
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** One response as it comes in. `ending` is `'end'` where it was whole, and `'broken'` where the connection went first. */
class Response {
  status = 0
  headers = {}
  text = ''
  ending = null
  #decoder = new TextDecoder()
  #waiting = new Set()

  begin (status, headers) {
    this.status = status
    this.headers = headers
    this.#changed()
  }

  append (bytes) {
    this.text += this.#decoder.decode(bytes, { stream: true })
    this.#changed()
  }

  end (ending) {
    this.ending ??= ending
    this.#changed()
  }

  /** Waits until the head is there. */
  head () {
    return this.#when(() => this.status !== 0, 'the head')
  }

  /** Waits until the body matches. */
  until (pattern) {
    return this.#when(() => pattern.test(this.text), pattern)
  }

  /** Waits for the end; gives its kind. */
  async over () {
    await this.#when(() => this.ending !== null, 'the end')
    return this.ending
  }

  async #when (condition, what) {
    while (!condition()) {
      if (this.ending !== null) throw new Error(`${this.ending} before ${what}: ${this.status} ${this.text.slice(0, 200)}`)
      await new Promise((resolve) => this.#waiting.add(resolve))
    }
  }

  #changed () {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

class Http1Connection {
  #rest = Buffer.alloc(0)
  #response = null
  #method = ''
  /** What reads what comes next; gives whether it could. */
  #read = () => false

  constructor (socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.#rest = Buffer.concat([this.#rest, bytes])
      while (this.#read());
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#response?.end('broken'))
  }

  /** The next request, once the last has its whole answer. */
  request (path, { method = 'GET', headers = {}, body = '' } = {}) {
    const all = { host: 'localhost', ...body === '' ? {} : { 'content-length': Buffer.byteLength(body) }, ...headers }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
    this.socket.write([`${method} ${path} HTTP/1.1`, ...lines, '', body].join('\r\n'))
    this.#response = new Response()
    this.#method = method
    this.#read = this.#readHead
    return this.#response
  }

  leave () {
    this.socket.destroy()
  }

  /** The text up to `mark`, taken from what has come; or null. */
  #take (mark) {
    const end = this.#rest.indexOf(mark)
    if (end === -1) return null
    const text = this.#rest.toString('latin1', 0, end)
    this.#rest = this.#rest.subarray(end + mark.length)
    return text
  }

  #readHead = () => {
    const head = this.#take('\r\n\r\n')
    if (head === null) return false
    const [first, ...lines] = head.split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => {
      const [name, ...value] = line.split(': ')
      return [name.toLowerCase(), value.join(': ')]
    }))
    const status = Number(first.split(' ')[1])
    this.#response.begin(status, headers)
    const length = Number(headers['content-length'] ?? 0)
    if (this.#method === 'HEAD' || status === 204) return this.#end()
    this.#read = headers['transfer-encoding'] === 'chunked' ? this.#readSize : () => this.#readBody(length)
    return true
  }

  #readBody (length) {
    if (this.#rest.length < length) return false
    this.#response.append(this.#rest.subarray(0, length))
    this.#rest = this.#rest.subarray(length)
    return this.#end()
  }

  #readSize = () => {
    const line = this.#take('\r\n')
    if (line === null) return false
    const size = Number.parseInt(line, 16)
    if (!/^[\da-f]+$/i.test(line)) throw new Error(`no size of a chunk: ${line.slice(0, 200)}`)
    this.#read = size === 0 ? this.#readTrailer : () => this.#readChunk(size)
    return true
  }

  #readChunk (size) {
    if (this.#rest.length < size + 2) return false
    this.#response.append(this.#rest.subarray(0, size))
    this.#rest = this.#rest.subarray(size + 2)
    this.#read = this.#readSize
    return true
  }

  #readTrailer = () => {
    const line = this.#take('\r\n')
    if (line === null) return false
    return line === '' ? this.#end() : true
  }

  #end () {
    this.#read = () => false
    this.#response.end('end')
    return false
  }
}

class Http2Connection {
  #session

  constructor (session) {
    this.#session = session.on('error', () => {})
  }

  request (path, { method = 'GET', headers = {}, body = '' } = {}) {
    const response = new Response()
    const stream = this.#session.request({ ':path': path, ':method': method, ...headers }, { endStream: body === '' })
    stream.on('response', (head) => response.begin(head[':status'], { ...head }))
    stream.on('data', (bytes) => response.append(bytes))
    stream.on('error', () => response.end('broken'))
    stream.on('close', () => response.end(stream.rstCode === 0 ? 'end' : 'broken'))
    if (body !== '') stream.end(body)
    return response
  }

  leave () {
    this.#session.destroy()
  }
}

const host = '127.0.0.1'

/** Each way to the server: what its Fastify is given, and how a client comes. */
export function transports ({ key, cert }) {
  return {
    plain: { server: {}, connect: (port) => new Http1Connection(connectTcp({ port, host })) },
    TLS: {
      server: { https: { key, cert } },
      connect: (port) => new Http1Connection(connectTls({ port, host, ca: cert, servername: 'localhost' }))
    },
    'HTTP/2': {
      server: { http2: true, https: { key, cert } },
      connect: (port) => new Http2Connection(connectHttp2(`https://localhost:${port}`, { ca: cert, lookup }))
    }
  }
}

/** The name of the certificate, without the network's opinion of it. */
function lookup (_name, { all }, callback) {
  if (all) callback(null, [{ address: host, family: 4 }])
  else callback(null, host, 4)
}
