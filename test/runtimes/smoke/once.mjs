/** What does not depend on the transport: on plain sockets alone. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { interval, map, of } from 'rxjs'
import { MemoryEventLog } from 'fastify-rxjs-sse'
import { Probe, until } from './scene.mjs'

export const once = {
  async 'the end of a client that does not keep up' (scene) {
    const closings = []
    const source = interval(1).pipe(map(() => 'x'.repeat(2 ** 18)))
    const options = { buffer: { maxBytes: 2 ** 20 }, onClose: (summary) => { closings.push(summary) } }
    const app = await scene.serve(options, (app) => app.get('/', (_request, reply) => reply.sse(source)))
    const connection = scene.connect()
    await connection.request('/').head()
    connection.socket.pause()
    await until(() => closings.length > 0)
    assert.deepEqual([closings[0].reason, app.sse.size], ['overflow', 0])
  },

  async 'only the newest of each key for a client that does not keep up' (scene) {
    const closings = []
    const probe = new Probe()
    const overflow = { latest: ({ type }) => type }
    await scene.serve({ buffer: { maxBytes: 2 ** 20, overflow }, onClose: (summary) => { closings.push(summary) } }, (app) =>
      app.get('/', (_request, reply) => reply.sse(probe.source)))
    const connection = scene.connect()
    const response = connection.request('/')
    await response.head()
    connection.socket.pause()
    const filling = 'x'.repeat(2 ** 18)
    for (let i = 0; i < 200; i++) {
      probe.next({ type: 'price', id: i, data: `${i} ${filling}` })
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    probe.complete()
    connection.socket.resume()
    assert.equal(await response.over(), 'end')
    const ids = response.text.match(/(?<=id: )\d+/g).map(Number)
    assert.equal(ids.at(-1), 199)
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b))
    assert.deepEqual([closings[0].reason, ids.length + closings[0].dropped], ['complete', 200])
    assert.ok(closings[0].dropped > 0)
  },

  async 'what a client has missed, from a log in memory' (scene) {
    const log = new MemoryEventLog()
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(log)))
    const ids = []
    for (const data of ['a', 'b', 'c']) ids.push(await log.append({ data }))
    const response = scene.request('/', { headers: { 'last-event-id': ids[0] } })
    await response.until(/data: c\n\n/)
    await log.append({ data: 'live' })
    await response.until(/data: live\n\n$/)
    assert.deepEqual(response.text.match(/(?<=data: )\w+/g), ['b', 'c', 'live'])
  },

  async 'an empty stream for one connection too many' (scene) {
    const probe = new Probe()
    await scene.serve({ maxConnections: 1 }, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    await scene.request('/').until(/^retry: /)
    const second = scene.request('/')
    assert.equal(await second.over(), 'end')
    assert.match(second.text, /^retry: \d+\n\n?$/)
    assert.deepEqual([second.status, probe.subscribed], [200, 1])
  },

  async 'what a response schema lets through' (scene) {
    const schema = { response: { 200: { content: { 'text/event-stream': { schema: {
      type: 'object', properties: { shown: { type: 'string' } }
    } } } } } }
    await scene.serve({}, (app) =>
      app.get('/', { schema, sse: true }, () => of({ data: { shown: 'yes', hidden: 'password' } })))
    const response = scene.request('/', { headers: { accept: 'text/event-stream' } })
    assert.equal(await response.over(), 'end')
    assert.match(response.text, /data: \{"shown":"yes"\}\n\n$/)
  },

  async 'the next request of a connection after the end of a stream' (scene) {
    await scene.serve({}, (app) => {
      app.get('/', (_request, reply) => reply.sse(of('first', 'last')))
      app.get('/plain', async () => ({ plain: true }))
    })
    const connection = scene.connect()
    for (let i = 0; i < 3; i++) {
      const stream = connection.request('/')
      assert.equal(await stream.over(), 'end')
      assert.match(stream.text, /data: first\n\ndata: last\n\n$/)
      const plain = connection.request('/plain')
      assert.equal(await plain.over(), 'end')
      assert.equal(plain.text, '{"plain":true}')
    }
  },

  async 'one hot source for many clients, who are all released' (scene) {
    const probe = new Probe()
    const app = await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const connections = Array.from({ length: 20 }, () => scene.connect())
    const responses = connections.map((connection) => connection.request('/'))
    await Promise.all(responses.map((response) => response.until(/^:/)))
    for (let i = 0; i < 50; i++) probe.next({ id: i, data: { i } })
    await Promise.all(responses.map((response) => response.until(/id: 49\n.*\n\n$/)))
    assert.equal(new Set(responses.map(({ text }) => text)).size, 1)
    for (const connection of connections) connection.leave()
    await until(() => probe.unsubscribed === 20)
    assert.equal(app.sse.size, 0)
  },

  async 'streams of Node and of the web, and their end when the client leaves' (scene) {
    let cancelled = 0
    await scene.serve({}, (app) => {
      app.get('/node', (_request, reply) => reply.sse(new Readable({
        objectMode: true,
        read () { this.push({ data: 'node' }) },
        destroy (_error, callback) {
          cancelled++
          callback(null)
        }
      })))
      app.get('/web', (_request, reply) => reply.sse(new ReadableStream({
        pull (controller) { controller.enqueue({ data: 'web' }) },
        cancel () { cancelled++ }
      })))
    })
    for (const name of ['node', 'web']) {
      const connection = scene.connect()
      await connection.request(`/${name}`).until(new RegExp(`(data: ${name}\n\n){100}`))
      connection.leave()
    }
    await until(() => cancelled === 2)
  },

  async 'the end by a signal' (scene) {
    const probe = new Probe()
    const controller = new AbortController()
    await scene.serve({}, (app) =>
      app.get('/', (_request, reply) => reply.sse(probe.source, { signal: controller.signal })))
    const response = scene.request('/')
    await response.until(/^:/)
    controller.abort()
    assert.equal(await response.over(), 'end')
    assert.equal(probe.unsubscribed, 1)
  },

  async 'inject()' (scene) {
    const app = await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(of('data'))))
    const { statusCode, headers, payload } = await app.inject('/')
    assert.deepEqual([statusCode, headers['content-type']], [200, 'text/event-stream'])
    assert.match(payload, /data: data\n\n$/)
  }
}
