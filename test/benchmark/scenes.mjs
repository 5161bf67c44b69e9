import { quantile } from './statistics.mjs'

const CPU_PER_EVENT = { key: 'cpu', title: 'CPU µs/event', digits: 2 }
const CPU_PER_CONNECTION = { key: 'cpu', title: 'CPU µs/connection', digits: 0 }
const P50 = { key: 'p50', title: 'p50 ms', digits: 2 }
const P99 = { key: 'p99', title: 'p99 ms', digits: 2 }
const HEAP = { key: 'heap', title: 'heap KiB', digits: 2 }
const RSS = { key: 'rss', title: 'resident KiB', digits: 2 }

/**
 * What is measured. `full` and `quick` are how much of it; `run` does it once, with a server that does nothing else
 * before or after, and gives one number for each metric.
 */
export const SCENES = [{
  name: 'paced',
  describe: ({ connections, size }) => `Paced: ${connections} connections, one event of ${size} B per turn`,
  metrics: [CPU_PER_EVENT, P50, P99],
  full: { connections: 500, events: 1, size: 200, turns: 800, warmUp: 100 },
  quick: { connections: 50, events: 1, size: 200, turns: 40, warmUp: 10 },
  run: fanOut
}, {
  name: 'bursts',
  describe: ({ connections, events, size }) =>
    `Bursts: ${connections} connections, ${events} events of ${size} B per turn`,
  metrics: [CPU_PER_EVENT, P50, P99],
  full: { connections: 500, events: 10, size: 200, turns: 30, warmUp: 6 },
  quick: { connections: 50, events: 10, size: 200, turns: 10, warmUp: 3 },
  run: fanOut
}, {
  name: 'large',
  describe: ({ connections, size }) => `Large: ${connections} connections, one event of ${size / 1024} KiB per turn`,
  metrics: [CPU_PER_EVENT, P50, P99],
  full: { connections: 500, events: 1, size: 65536, turns: 100, warmUp: 10 },
  quick: { connections: 50, events: 1, size: 65536, turns: 6, warmUp: 2 },
  run: fanOut
}, {
  name: 'idle',
  describe: ({ connections }) => `Idle: ${connections} connections, memory of each`,
  metrics: [HEAP, RSS],
  full: { connections: 10_000, warmUp: 2_000 },
  quick: { connections: 500, warmUp: 200 },
  run: idle
}, {
  name: 'churn',
  describe: ({ connections }) => `Churn: ${connections} connections, opened and closed`,
  metrics: [CPU_PER_CONNECTION],
  full: { connections: 5_000, warmUp: 1_000 },
  quick: { connections: 200, warmUp: 100 },
  run: churn
}, {
  name: 'tokens',
  describe: ({ tokens }) => `Tokens: one connection, ${tokens} small events from an async generator`,
  metrics: [CPU_PER_EVENT],
  full: { tokens: 200_000 },
  quick: { tokens: 5_000 },
  run: stream
}, {
  name: 'heartbeats',
  describe: ({ connections }) => `Heartbeats: ${connections} connections, one a second; the raw servers write all in one tick`,
  contestants: ['net', 'http', 'fastify-rxjs-sse'],
  metrics: [{ key: 'block', title: 'longest block ms', digits: 1 }],
  full: { connections: 5_000, milliseconds: 6_000 },
  quick: { connections: 100, milliseconds: 1_500 },
  run: heartbeats
}, {
  name: 'objects',
  describe: ({ tokens }) => `Objects: one connection, ${tokens} events of ten fields from an async generator`,
  contestants: ['json-stringify', 'response-schema'],
  references: ['json-stringify'],
  metrics: [CPU_PER_EVENT],
  full: { tokens: 200_000 },
  quick: { tokens: 5_000 },
  run: stream
}, {
  name: 'herd',
  describe: ({ connections, events, size }) =>
    `Herd: ${connections} connections at once, each resumes from ${events} events of ${size} B ago`,
  contestants: ['net', 'memory-log', 'redis-log'],
  metrics: [
    { key: 'live', title: 'until the last is live, ms', digits: 0 },
    { key: 'cpu', title: 'CPU µs/event', digits: 2 },
    { key: 'rss', title: 'peak of resident memory, MiB more', digits: 0 }
  ],
  full: { connections: 5_000, events: 1_000, size: 200 },
  quick: { connections: 100, events: 100, size: 200 },
  run: herd
}]

async function fanOut (server, client, { connections, events, size, turns, warmUp }) {
  const { port, acknowledgements } = await server.call('listen')
  await client.call('open', { port, count: connections })
  await client.call('acknowledgeTurns', { port: acknowledgements, events })
  await server.call('emitTurns', { turns: warmUp, events, size })
  const { cpu, latencies } = await server.call('emitTurns', { turns, events, size })
  await client.call('check', { events: (warmUp + turns) * events })
  return {
    cpu: cpu / (turns * events * connections),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99)
  }
}

/** After a first wave has come and gone, so that what is made once is not counted. */
async function idle (server, client, { connections, warmUp }) {
  const { port } = await server.call('listen')
  await client.call('open', { port, count: warmUp })
  await client.call('close')
  await server.call('untilQuiet')
  const before = await server.call('measureMemory')
  await client.call('open', { port, count: connections })
  const after = await server.call('measureMemory')
  return {
    heap: (after.heap - before.heap) / connections / 1024,
    rss: (after.rss - before.rss) / connections / 1024
  }
}

/** All come back at once, and the time ends when the last of them has what it missed. */
async function herd (server, client, { connections, events, size }) {
  const { port } = await server.call('listen')
  const lastEventId = await server.call('prepareHerd', { events, size })
  const before = await server.call('measureMemory')
  await server.call('startCpu')
  const live = await client.call('herd', { port, count: connections, lastEventId, events })
  const cpu = await server.call('stopCpu')
  const peak = await server.call('peakMemory')
  await server.call('emitOne', { size })
  await client.call('untilAllHave', { events: events + 1 })
  return { live, cpu: cpu / (connections * events), rss: (peak - before.rss) / 2 ** 20 }
}

/** How long the event loop was held at most. */
async function heartbeats (server, client, { connections, milliseconds }) {
  const { port } = await server.call('listen')
  await client.call('open', { port, path: '/heartbeats', count: connections })
  return { block: await server.call('measureDelay', { milliseconds }) }
}

async function churn (server, client, { connections, warmUp }) {
  const { port } = await server.call('listen')
  await client.call('churn', { port, count: warmUp })
  await server.call('untilQuiet')
  await server.call('startCpu')
  await client.call('churn', { port, count: connections })
  await server.call('untilQuiet')
  return { cpu: await server.call('stopCpu') / connections }
}

/** Twice: the first time warms up. */
async function stream (server, client, { tokens }) {
  const { port } = await server.call('listen')
  await client.call('readAll', { port, path: '/tokens', events: tokens })
  await client.call('close')
  await server.call('startCpu')
  await client.call('readAll', { port, path: '/tokens', events: tokens })
  const cpu = await server.call('stopCpu')
  await client.call('check', { events: tokens })
  return { cpu: cpu / tokens }
}
