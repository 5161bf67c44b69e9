import { createServer } from 'node:http'
import { createChannel, createSession } from 'better-sse'

/** A channel, on Node's own server. */
export async function start ({ tokens }) {
  const channel = createChannel()
  const server = createServer(async (request, response) => {
    const session = await createSession(request, response)
    if (request.url === '/tokens') await session.iterate(tokens((data) => data))
    else channel.register(session)
  })
  return { server, emit: (data) => channel.broadcast(data) }
}
