import { createServer } from 'node:http'

/** What Node has on board: the event is encoded once, and written to each response. */
export async function start ({ tokens }) {
  const responses = new Set()
  const beats = new Set()
  setInterval(() => beat(beats), 1000).unref()
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    response.flushHeaders()
    if (request.url === '/tokens') return sendAll(response, tokens())
    const group = request.url === '/heartbeats' ? beats : responses
    group.add(response)
    response.on('close', () => group.delete(response))
  })
  return { server, emit }

  function emit (data) {
    const event = Buffer.from(`data: ${data}\n\n`)
    for (const response of responses) response.write(event)
  }
}

function beat (responses) {
  for (const response of responses) response.write(':\n\n')
}

async function sendAll (response, messages) {
  for await (const { data } of messages) {
    if (!response.write(`data: ${data}\n\n`)) await new Promise((resolve) => response.once('drain', resolve))
  }
  response.end()
}
