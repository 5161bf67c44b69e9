import t from 'tap'
import { interval, map, take } from 'rxjs'
import { buildApp, parse } from '../fixtures/app.ts'

t.test('Should stream what an Observable emits', async (t) => {
  const app = await buildApp(t)
  app.get('/', (_request, reply) => reply.sse(interval(1).pipe(map(() => ({ data: { hello: 'world' } })), take(2))))
  const response = await app.inject('/')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/event-stream')
  t.same(parse(response.payload).map(({ data }) => data), ['{"hello":"world"}', '{"hello":"world"}'])
})
