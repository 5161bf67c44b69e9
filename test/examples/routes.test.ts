import { negotiate } from '@fastify/accept-negotiator'
import { EventSource } from 'eventsource'
import { NEVER, concat, of } from 'rxjs'
import t from 'tap'
import { Probe, buildApp, listen } from '../fixtures/app.ts'
import { EventSourceLog, observe } from '../fixtures/event-source.ts'
import { Http2Client, KINDS, buildHttp2App, openSession } from '../fixtures/http2.ts'
import { fetch } from '../fixtures/waits.ts'

t.test('Should serve a stream and JSON from one route, by what the client accepts', async (t) => {
  const app = await buildApp(t)
  const schema = {
    response: {
      200: {
        content: {
          'application/json': { schema: { type: 'object', properties: { price: { type: 'number' } } } },
          'text/event-stream': { schema: { type: 'object', properties: { symbol: { type: 'string' } } } }
        }
      }
    }
  }
  const price = { symbol: 'A', price: 1 }
  app.get('/price', { schema }, (request, reply) => {
    reply.header('vary', 'Accept')
    const type = negotiate(request.headers.accept ?? '', ['application/json', 'text/event-stream'])
    return type === 'text/event-stream' ? reply.sse(concat(of({ data: price }), NEVER)) : reply.type('application/json').send(price)
  })
  const url = await listen(app)
  const json = await fetch(`${url}/price`)
  t.equal(json.headers.get('vary'), 'Accept')
  t.same(await json.json(), { price: 1 })
  const source = new EventSource(`${url}/price`)
  t.teardown(() => source.close())
  const fired = new EventSourceLog()
  observe(source, [], fired.add)
  await fired.until(({ events }) => events.length === 1)
  t.same(fired.events, [['message', '{"symbol":"A"}']])
})

async function * tokens (prompt: string) {
  yield * prompt.split(' ')
}

t.test('Should let a POST body decide between a stream and JSON', async (t) => {
  const app = await buildApp(t)
  const schema = {
    body: { type: 'object', required: ['prompt'], properties: { prompt: { type: 'string' }, stream: { type: 'boolean' } } }
  }
  app.post('/completions', { schema }, async (request, reply) => {
    const { prompt, stream } = request.body as { prompt: string, stream?: boolean }
    if (stream !== true) return { text: prompt }
    return reply.sse(async function * () {
      for await (const token of tokens(prompt)) yield { data: { token } }
      yield '[DONE]'
    })
  })
  const url = `${await listen(app)}/completions`
  const post = (body: object) => fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  t.same(await (await post({ prompt: 'a b' })).json(), { text: 'a b' })
  t.equal(await (await post({ prompt: 'a b', stream: true })).text(),
    ':\n\ndata: {"token":"a"}\n\ndata: {"token":"b"}\n\ndata: [DONE]\n\n')
  t.equal((await post({ stream: true })).status, 400)
})

for (const kind of KINDS) {
  t.test(`Should stream, refuse and release over HTTP/2 (${kind})`, async (t) => {
    const app = await buildHttp2App(t, kind)
    const probe = new Probe()
    app.get('/', { sse: true }, async () => concat(of('a'), probe.source))
    const session = await openSession(t, app)
    const client = new Http2Client(session)
    t.match(await client.head, { ':status': 200, 'content-type': 'text/event-stream', vary: 'Accept' })
    await client.until(/data: a/)
    client.stream.close()
    await probe.until(({ unsubscribed }) => unsubscribed === 1)
    t.match(await new Http2Client(session, '/', { accept: 'text/html' }).head, { ':status': 406, vary: 'Accept' })
    t.match(await new Http2Client(session, '/', { ':method': 'HEAD' }).head, { ':status': 200, vary: 'Accept' })
    t.equal(probe.subscribed, 1)
  })
}
