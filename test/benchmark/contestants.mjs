/** Each is a file in `servers/`. */
export const CONTESTANTS = [
  'net', 'http', 'fastify-rxjs-sse', 'fastify-sse', 'better-sse', 'fastify-sse-v2', 'nestjs', 'hono'
]

/** This plugin without one of the steps that make it cheap, or as it was; measured where they are asked for. */
export const VARIANTS = ['each-encodes', 'plain-path', 'before']

/** What takes part only in the scenes that name it. */
export const SPECIALISTS = ['json-stringify', 'response-schema', 'memory-log', 'redis-log']

export const OURS = 'fastify-rxjs-sse'

/** What the tables compare with. */
export const REFERENCES = ['net', 'fastify-sse']

const TITLES = {
  'net': 'raw `net`',
  'http': 'raw `http`',
  'fastify-rxjs-sse': '**fastify-rxjs-sse**',
  'fastify-sse': '`@fastify/sse`',
  'each-encodes': 'each connection encodes',
  'before': 'this plugin before',
  'plain-path': '`response.write`, not the socket\'s',
  'json-stringify': '`JSON.stringify`',
  'response-schema': 'response schema',
  'memory-log': '**`MemoryEventLog`**',
  'redis-log': '**`RedisEventLog`**',
  'nestjs': 'NestJS',
  'hono': 'Hono'
}

export function titleOf (name) {
  return TITLES[name] ?? `\`${name}\``
}
