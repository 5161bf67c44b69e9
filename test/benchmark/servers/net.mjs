import { createServer } from 'node:net'

const HEAD = [
  'HTTP/1.1 200 OK', 'content-type: text/event-stream', 'cache-control: no-cache', 'transfer-encoding: chunked', '', ''
].join('\r\n')

/** The floor: the chunk is made once, and written to each socket. */
export async function start ({ tokens }) {
  const sockets = new Set()
  const beats = new Set()
  setInterval(() => beat(beats), 1000).unref()
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket) || beats.delete(socket))
    socket.once('data', (request) => {
      socket.write(HEAD)
      if (request.includes('GET /tokens')) return sendAll(socket, tokens())
      if (request.includes('GET /herd')) socket.write(missed)
      if (request.includes('GET /heartbeats')) beats.add(socket)
      else sockets.add(socket)
    })
  })
  let missed = ''
  return { server, emit, prepareHerd }

  /** What all have missed is ready, too. */
  function prepareHerd (texts) {
    missed = Buffer.from(encodeChunk(texts.map((text) => `data: ${text}\n\n`).join('').slice(6, -2)))
  }

  function emit (data) {
    const chunk = Buffer.from(encodeChunk(data))
    for (const socket of sockets) socket.write(chunk)
  }
}

function beat (sockets) {
  for (const socket of sockets) socket.write('3\r\n:\n\n\r\n')
}

async function sendAll (socket, messages) {
  for await (const { data } of messages) {
    if (!socket.write(encodeChunk(data))) await new Promise((resolve) => socket.once('drain', resolve))
  }
  socket.end('0\r\n\r\n')
}

function encodeChunk (data) {
  const event = `data: ${data}\n\n`
  return `${event.length.toString(16)}\r\n${event}\r\n`
}
