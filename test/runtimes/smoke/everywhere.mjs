/** What must hold over plain sockets, TLS and HTTP/2. */
import assert from 'node:assert/strict'
import { concat, NEVER, of } from 'rxjs'
import { Probe, until } from './scene.mjs'

/** An open stream of these values. */
const open = (...values) => concat(of(...values), NEVER)

/** What an open stream of these values looks like, after the first bytes. */
async function bodyOf (scene, values, last, options = {}) {
  await scene.serve(options, (app) => app.get('/', (_request, reply) => reply.sse(open(...values))))
  const response = scene.request('/')
  await response.until(last)
  return response.text.replace(/^:\n+/, '')
}

export const everywhere = {
  async 'the head and the first bytes, before the source emits' (scene) {
    const probe = new Probe()
    const app = await scene.serve({ heartbeat: false }, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const response = scene.request('/')
    await response.head()
    await response.until(/^:\n/)
    assert.equal(response.status, 200)
    assert.equal(response.headers['content-type'], 'text/event-stream')
    assert.equal(response.headers['cache-control'], 'no-cache, no-transform')
    assert.equal(response.headers['x-accel-buffering'], 'no')
    assert.equal(response.headers['content-length'], undefined)
    assert.deepEqual([probe.subscribed, app.sse.size], [1, 1])
  },

  async 'each event at once' (scene) {
    const probe = new Probe()
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const response = scene.request('/')
    await response.head()
    for (const data of ['one', 'two', 'three']) {
      probe.next(data)
      await response.until(new RegExp(`data: ${data}\n\n$`))
    }
  },

  async 'data: strings as they are, the rest as JSON' (scene) {
    const values = ['plain', '', 0, null, false, ['a'], { data: { hello: 'wörld 🌍' } }]
    assert.equal(await bodyOf(scene, values, /🌍.*\n\n$/), [
      'data: plain', 'data: ', 'data: 0', 'data: null', 'data: false', 'data: ["a"]', 'data: {"hello":"wörld 🌍"}', ''
    ].join('\n\n'))
  },

  async 'named events' (scene) {
    assert.equal(await bodyOf(scene, [{ type: 'tick', data: 1 }, { type: 'bare' }], /bare\n.*\n\n$/),
      'event: tick\ndata: 1\n\nevent: bare\ndata:\n\n')
  },

  async 'ids' (scene) {
    assert.equal(await bodyOf(scene, [{ id: 0, data: 'a' }, { id: 'b #2', data: 'b' }, { id: '', data: 'c' }], /c\n\n$/),
      'id: 0\ndata: a\n\nid: b #2\ndata: b\n\nid: \ndata: c\n\n')
  },

  async 'every line of data' (scene) {
    assert.equal(await bodyOf(scene, ['one\ntwo\r\nthree\rfour\n'], /four\n.*\n\n$/),
      'data: one\ndata: two\ndata: three\ndata: four\ndata: \n\n')
  },

  async 'the time to come back, by option and by message' (scene) {
    const body = await bodyOf(scene, [{ retry: 20 }, 'last'], /last\n\n$/, { retry: 10 })
    assert.match(body, /^retry: 10\n\n?retry: 20\n\n?data: last\n\n$/)
  },

  async 'comments' (scene) {
    assert.equal(await bodyOf(scene, [{ comment: 'a\nb', data: 'last' }], /last\n\n$/), ': a\n: b\ndata: last\n\n')
  },

  async 'the id that the client has seen last' (scene) {
    const asked = []
    await scene.serve({}, (app) => app.get('/', (request, reply) => reply.sse(({ lastEventId }) => {
      asked.push(request.lastEventId, lastEventId)
      return of('end')
    })))
    await scene.request('/', { headers: { 'last-event-id': 'b #2' } }).over()
    await scene.request('/').over()
    assert.deepEqual(asked, ['b #2', 'b #2', undefined, undefined])
  },

  async 'heartbeats of a silent source' (scene) {
    await scene.serve({ heartbeat: 20 }, (app) => app.get('/', (_request, reply) => reply.sse(NEVER)))
    const response = scene.request('/')
    await response.until(/^(:\n\n?){4}/)
  },

  async 'release of the source when the client leaves' (scene) {
    const probe = new Probe()
    const reasons = []
    const onClose = ({ reason }) => { reasons.push(reason) }
    const app = await scene.serve({ onClose }, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const connection = scene.connect()
    await connection.request('/').until(/^:/)
    connection.leave()
    await until(() => reasons.length > 0)
    assert.deepEqual([probe.subscribed, probe.unsubscribed, app.sse.size, reasons], [1, 1, 0, ['client']])
  },

  async 'the head alone for HEAD' (scene) {
    const probe = new Probe()
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const response = scene.request('/', { method: 'HEAD' })
    assert.equal(await response.over(), 'end')
    assert.deepEqual([response.status, response.headers['content-type'], response.text], [200, 'text/event-stream', ''])
    assert.equal(probe.subscribed, 0)
  },

  async 'the end of a finite source, and 204 to who comes back' (scene) {
    await scene.serve({ finite: true }, (app) => app.get('/', (_request, reply) => reply.sse(of('data'))))
    const first = scene.request('/')
    assert.equal(await first.over(), 'end')
    const [, id] = /data: data\n\nid: (.+)\nevent: end\ndata:\n\n$/.exec(first.text) ?? []
    assert.ok(id, first.text)
    const second = scene.request('/', { headers: { 'last-event-id': id } })
    assert.equal(await second.over(), 'end')
    assert.deepEqual([second.status, second.text], [204, ''])
  },

  async 'the status of an error before the head' (scene) {
    await scene.serve({}, (app) => {
      app.get('/', (_request, reply) => reply.sse(async () => { throw new Error('early') }))
      app.get('/503', (_request, reply) => reply.sse(async () => { throw Object.assign(new Error(), { statusCode: 503 }) }))
    })
    const response = scene.request('/')
    assert.equal(await response.over(), 'end')
    assert.deepEqual([response.status, JSON.parse(response.text).message], [500, 'early'])
    const unavailable = scene.request('/503')
    await unavailable.over()
    assert.equal(unavailable.status, 503)
  },

  async 'a broken connection for an error after the head' (scene) {
    const probe = new Probe()
    await scene.serve({ onError: () => ({ type: 'failed' }) }, (app) =>
      app.get('/', (_request, reply) => reply.sse(probe.source)))
    const response = scene.request('/')
    await response.head()
    probe.next('fine')
    probe.error(new Error('secret'))
    assert.equal(await response.over(), 'broken')
    assert.match(response.text, /data: fine\n\nevent: failed\ndata:\n\n$/)
  },

  async 'the headers of onSend hooks' (scene) {
    await scene.serve({}, (app) => {
      app.addHook('onSend', async (_request, reply) => { reply.header('set-cookie', 'who=me') })
      app.get('/', (_request, reply) => reply.header('x-own', 'yes').sse(of('data')))
    })
    const response = scene.request('/')
    assert.equal(await response.over(), 'end')
    assert.deepEqual([String(response.headers['set-cookie']), response.headers['x-own']], ['who=me', 'yes'])
    assert.match(response.text, /data: data\n\n$/)
  },

  async 'the end of all streams with app.close()' (scene) {
    const probe = new Probe()
    const app = await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const responses = [scene.request('/'), scene.request('/')]
    await Promise.all(responses.map((response) => response.until(/^:/)))
    await app.close()
    assert.deepEqual(await Promise.all(responses.map((response) => response.over())), ['end', 'end'])
    assert.deepEqual([probe.subscribed, probe.unsubscribed], [2, 2])
  },

  async 'an answer to POST' (scene) {
    await scene.serve({}, (app) => app.post('/', ({ body }, reply) => reply.sse(of(body, 'last'))))
    const response = scene.request('/', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(['sent', 'wörld'])
    })
    assert.equal(await response.over(), 'end')
    assert.match(response.text, /data: \["sent","wörld"\]\n\ndata: last\n\n$/)
  },

  async 'release of the source when the client of a POST leaves' (scene) {
    const probe = new Probe()
    await scene.serve({}, (app) => app.post('/', (_request, reply) => reply.sse(probe.source)))
    const connection = scene.connect()
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
    await connection.request('/', init).until(/^:/)
    assert.equal(probe.unsubscribed, 0)
    connection.leave()
    await until(() => probe.unsubscribed === 1)
  },

  async 'an event of 4 MiB, whole' (scene) {
    const large = 'é'.repeat(2 ** 21)
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(of(large))))
    const response = scene.request('/')
    assert.equal(await response.over(), 'end')
    assert.ok(response.text.endsWith(`data: ${large}\n\n`), `${response.text.length} characters`)
  },

  async 'a burst of 10 000 events, in order' (scene) {
    const probe = new Probe()
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(probe.source)))
    const response = scene.request('/')
    await response.head()
    for (let i = 0; i < 10_000; i++) probe.next(i)
    probe.complete()
    assert.equal(await response.over(), 'end')
    const seen = response.text.match(/(?<=data: )\d+/g).map(Number)
    assert.deepEqual(seen, Array.from({ length: 10_000 }, (_, i) => i))
  },

  async 'a generator, at the speed of the client, and its end when the client leaves' (scene) {
    let made = 0
    let isDone = false
    async function * numbers () {
      try {
        for (;;) yield { id: made, data: made++ }
      } finally {
        isDone = true
      }
    }
    await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(numbers())))
    const connection = scene.connect()
    const response = connection.request('/')
    await response.until(/id: 1000\n/)
    assert.match(response.text, /id: 0\ndata: 0\n\nid: 1\ndata: 1\n\n/)
    connection.leave()
    await until(() => isDone)
  },

  async 'an answer by content type, or 406, of a declarative route' (scene) {
    await scene.serve({}, (app) => app.get('/', { sse: true }, () => of({ data: 'declared' })))
    const stream = scene.request('/', { headers: { accept: 'text/event-stream' } })
    assert.equal(await stream.over(), 'end')
    assert.match(stream.text, /data: declared\n\n$/)
    const other = scene.request('/', { headers: { accept: 'application/json' } })
    await other.over()
    assert.equal(other.status, 406)
  }
}
