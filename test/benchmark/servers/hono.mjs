import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'

/** `streamSSE()`, and one `writeSSE()` for each event. */
export async function start ({ tokens }) {
  const streams = new Set()
  const app = new Hono()
  app.get('/events', (context) => streamSSE(context, async (stream) => {
    streams.add(stream)
    await new Promise((resolve) => stream.onAbort(resolve))
    streams.delete(stream)
  }))
  app.get('/tokens', (context) => streamSSE(context, async (stream) => {
    for await (const message of tokens()) await stream.writeSSE(message)
  }))
  return { server: createAdaptorServer(app), emit }

  function emit (data) {
    const message = { data }
    for (const stream of streams) stream.writeSSE(message)
  }
}
