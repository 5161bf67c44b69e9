import { SCHEMA, startObjects } from './objects.mjs'

export function start (options) {
  const content = { 'text/event-stream': { schema: SCHEMA } }
  return startObjects(options, { schema: { response: { 200: { description: 'Trades', content } } } })
}
