import { OURS, titleOf } from './contestants.mjs'
import { ratio } from './table.mjs'

/** What this plugin may cost at most, as a ratio. */
const BOUNDS = [
  { scene: 'paced', key: 'cpu', reference: 'net', atMost: 1.3 },
  { scene: 'paced', key: 'cpu', reference: 'fastify-sse', atMost: 0.55 },
  { scene: 'paced', key: 'cpu', reference: 'nestjs', atMost: 0.4 },
  { scene: 'bursts', key: 'cpu', reference: 'net', atMost: 0.3 },
  { scene: 'bursts', key: 'cpu', reference: 'fastify-sse', atMost: 0.2 },
  { scene: 'bursts', key: 'cpu', reference: 'nestjs', atMost: 0.08 },
  { scene: 'large', key: 'cpu', reference: 'net', atMost: 1.1 },
  { scene: 'idle', key: 'heap', reference: 'http', atMost: 1.6 },
  { scene: 'idle', key: 'heap', reference: 'fastify-sse', atMost: 1.2 },
  ...['better-sse', 'fastify-sse-v2', 'nestjs', 'hono']
    .map((reference) => ({ scene: 'idle', key: 'heap', reference, atMost: 1 })),
  ...['fastify-sse', 'better-sse', 'fastify-sse-v2', 'nestjs', 'hono']
    .map((reference) => ({ scene: 'tokens', key: 'cpu', reference, atMost: 1 }))
]

/** How far this plugin is from what it may cost, one line for each bound that was measured. */
export function formatBounds ({ name, metrics }, rounds, contestants) {
  return BOUNDS
    .filter(({ scene, reference }) => scene === name && [OURS, reference].every((one) => contestants.includes(one)))
    .map(({ key, reference, atMost }) => {
      const { title } = metrics.find((metric) => metric.key === key)
      const actual = ratio(rounds, key, OURS, reference)
      const verdict = actual > atMost ? ': **missed**' : ''
      return `- ${title}: ${actual.toFixed(2)} × ${titleOf(reference)}, at most ${atMost}${verdict}`
    })
    .join('\n')
}
