import { Validator } from '@seriousme/openapi-schema-validator'
import { EventSource } from 'eventsource'
import t from 'tap'
import type { Test } from 'tap'
import { EventSourceLog, observe } from '../fixtures/event-source.ts'
import { noSignals, startProgram } from '../fixtures/program.ts'
import { fetch } from '../fixtures/waits.ts'

const start = (t: Test) => startProgram(t, 'typebox.js',
  /^Trades at http:\/\/localhost:(\d+)\/trades, described at http:\/\/localhost:\1\/openapi.json\n$/)

t.test('Should send what the schema declares, and nothing else', async (t) => {
  const { address } = await start(t)
  const source = new EventSource(`${address}/trades?symbol=BBB`)
  t.teardown(() => source.close())
  const fired = new EventSourceLog()
  observe(source, ['trade'], fired.add)
  await fired.until(({ events }) => events.length === 2)
  t.strictSame(fired.events.map(([type, data]) => [type, JSON.parse(data)]), [
    ['trade', { symbol: 'BBB', price: 100.25, quantity: 2 }],
    ['trade', { symbol: 'BBB', price: 100.75, quantity: 4 }]
  ])
  t.notMatch(JSON.stringify(fired.all), /account/)
  t.strictSame(fired.all.filter(({ data }) => data !== undefined).map(({ lastEventId }) => lastEventId), ['2', '4'])
})

t.test('Should end on SIGINT with a stream open', { skip: noSignals }, async (t) => {
  const { address, end } = await start(t)
  const response = await fetch(`${address}/trades?symbol=BBB`)
  t.equal(response.status, 200)
  t.strictSame(await end('SIGINT'), { code: 0, stderr: '' })
  await response.body?.cancel().catch(() => {})
})

t.test('Should refuse what the schema does not allow, before the stream', async (t) => {
  const { address } = await start(t)
  const response = await fetch(`${address}/trades?symbol=CCC`)
  t.equal(response.status, 400)
  t.match(await response.json(), { code: 'FST_ERR_VALIDATION' })
  t.equal((await fetch(`${address}/trades`, { headers: { accept: 'application/json' } })).status, 406)
})

t.test('Should describe the events', async (t) => {
  const { address } = await start(t)
  const document = JSON.parse(await (await fetch(`${address}/openapi.json`)).text())
  t.strictSame(Object.keys(document.paths), ['/trades'])
  const { itemSchema } = document.paths['/trades'].get.responses[200].content['text/event-stream']
  t.match(itemSchema.properties.data, {
    type: 'string',
    contentMediaType: 'application/json',
    contentSchema: { required: ['symbol', 'price', 'quantity'], properties: { price: { type: 'number' } } }
  })
  t.same(await new Validator().validate(document), { valid: true })
})
