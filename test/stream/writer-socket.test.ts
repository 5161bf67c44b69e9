import { once } from 'node:events'
import { get } from 'node:http'
import { get as getSecure } from 'node:https'
import type { Socket } from 'node:net'
import t from 'tap'
import type { FastifyServerOptions } from 'fastify'
import { Subject } from 'rxjs'
import { buildApp, listen } from '../fixtures/app.ts'
import { immediate } from '../fixtures/one-route.ts'
import { cert, key } from '../fixtures/tls.ts'

const EVENTS = 20

/** A whole chunk of a chunked body (RFC 9112, 7.1), in one buffer: what Node itself writes in three parts. */
const CHUNK = /^[0-9a-f]+\r\ndata: \d+\n\n\r\n$/

for (const [name, options] of [['plain', {}], ['TLS', { https: { cert, key } }]] as const) {
  t.test(`Should write to the socket itself, ${name}`, { timeout: 10_000 }, async (t) => {
    const source = new Subject<number>()
    const chunks: string[] = []
    const app = await buildApp(t, {}, options as FastifyServerOptions)
    app.get('/', (_request, reply) => {
      const socket = reply.raw.socket as Socket
      const { write } = socket
      socket.write = function (...args: unknown[]) {
        const [bytes] = args
        if (bytes instanceof Uint8Array && CHUNK.test(Buffer.from(bytes).toString())) chunks.push(String(bytes))
        return Reflect.apply(write, socket, args)
      } as typeof write
      return reply.sse(source)
    })
    const url = await listen(app)
    const text = await new Promise<string>((resolve, reject) => {
      let body = ''
      const onResponse = async (response: NodeJS.ReadableStream): Promise<void> => {
        response.setEncoding('utf8')
        response.on('data', (part: string) => { body += part })
        response.on('end', () => resolve(body))
        await once(response, 'data')
        for (let n = 0; n < EVENTS; n++) {
          source.next(n)
          await immediate()
        }
        source.complete()
      }
      const request = name === 'TLS' ? getSecure(url, { ca: cert }, onResponse) : get(url, onResponse)
      request.on('error', reject)
    })
    t.equal(text.match(/data/g)?.length, EVENTS)
    t.ok(chunks.length >= EVENTS - 2, `${chunks.length} of ${EVENTS} events on the socket`)
  })
}
