/** What a client of npm, an `EventSource`, makes of the streams. */
import assert from 'node:assert/strict'
import { concat, NEVER, of } from 'rxjs'
import { until } from './scene.mjs'

const CLOSED = 2

/** Opens an `EventSource` for as long as `use` takes. */
async function follow (EventSource, url, types, use) {
  const source = new EventSource(url)
  const events = []
  for (const type of ['message', ...types]) {
    source.addEventListener(type, ({ data, lastEventId }) => events.push([type, data, lastEventId]))
  }
  try {
    await use(source, events)
  } finally {
    source.close()
  }
}

export function clientChecks (EventSource) {
  return {
    async 'messages, named events and every line' (scene) {
      const values = ['plain', { type: 'tick', data: 1 }, { data: 'one\ntwo\r\nthree\rfour' }]
      await scene.serve({}, (app) => app.get('/', (_request, reply) => reply.sse(concat(of(...values), NEVER))))
      await follow(EventSource, scene.address, ['tick'], async (_source, events) => {
        await until(() => events.length === 3)
        assert.deepEqual(events, [['message', 'plain', ''], ['tick', '1', ''], ['message', 'one\ntwo\nthree\nfour', '']])
      })
    },

    async 'what follows the last id, after the end' (scene) {
      const asked = []
      const sources = [of({ id: 1, data: 'a' }, { id: 'b #2', data: 'b' }), of({ id: 0, data: 'c' })]
      await scene.serve({ retry: 0 }, (app) => app.get('/', (request, reply) => {
        asked.push(request.lastEventId)
        return reply.sse(sources[asked.length - 1] ?? concat(of('d'), NEVER))
      }))
      await follow(EventSource, scene.address, [], async (_source, events) => {
        await until(() => events.length === 4)
        assert.deepEqual(events.map(([, data]) => data), ['a', 'b', 'c', 'd'])
        assert.deepEqual(asked, [undefined, 'b #2', '0'])
      })
    },

    async 'no return after the end of a finite source' (scene) {
      const statuses = []
      await scene.serve({ retry: 0, finite: true }, (app) => {
        app.addHook('onSend', async (_request, { statusCode }) => { statuses.push(statusCode) })
        app.get('/', (_request, reply) => reply.sse(of('data')))
      })
      await follow(EventSource, scene.address, [], async (source, events) => {
        await until(() => source.readyState === CLOSED)
        assert.deepEqual(events.map(([, data]) => data), ['data'])
        assert.deepEqual(statuses, [200, 204])
      })
    }
  }
}
