/** Each is a file in `servers/`. */
export const CONTESTANTS = [
  'net', 'http', 'fastify-rxjs-sse', 'fastify-sse', 'better-sse', 'fastify-sse-v2', 'nestjs', 'hono'
]

export const OURS = 'fastify-rxjs-sse'

/** What the tables compare with. */
export const REFERENCES = ['net', 'fastify-sse']

const TITLES = {
  'net': 'raw `net`',
  'http': 'raw `http`',
  'fastify-rxjs-sse': '**fastify-rxjs-sse**',
  'fastify-sse': '`@fastify/sse`',
  'nestjs': 'NestJS',
  'hono': 'Hono'
}

export function titleOf (name) {
  return TITLES[name] ?? `\`${name}\``
}
