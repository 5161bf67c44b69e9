import { once } from 'node:events'
import { createServer } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { answer } from './answer.mjs'
import { now } from './clock.mjs'
import { createTokens, textOf } from './events.mjs'
import { startProfile } from './profile.mjs'

const [name, tokens, profile] = process.argv.slice(2)
const { start } = await import(`./servers/${name}.mjs`)
const { server, emit, prepareHerd } = await start({ tokens: (toMessage) => createTokens(Number(tokens), toMessage) })

/** The client tells here when all its connections have the turn's events. */
const acknowledgements = createServer({ noDelay: true })
let acknowledge = () => {}
acknowledgements.on('connection', (socket) => socket.on('data', (bytes) => acknowledge(bytes.readDoubleLE())))

let cpuBefore = process.cpuUsage()
let stopProfile = null
let peak = 0
setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()) }, 20).unref()

answer({
  listen,
  emitTurns,
  startCpu,
  stopCpu,
  measureMemory,
  peakMemory,
  measureDelay,
  untilQuiet,
  prepareHerd: ({ events, size }) => prepareHerd(Array.from({ length: events }, () => textOf(size))),
  emitOne: ({ size }) => emit(textOf(size))
})

async function listen () {
  return { port: await listenOn(server), acknowledgements: await listenOn(acknowledgements) }
}

async function listenOn (server) {
  // Frameworks have their own way.
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  return server.address().port
}

/** Some events in one turn, and the next turn when every client has them. */
async function emitTurns ({ turns, events, size }) {
  const text = textOf(size)
  const latencies = []
  await startCpu()
  for (let turn = 0; turn < turns; turn++) {
    await setImmediate()
    const acknowledged = new Promise((resolve) => { acknowledge = resolve })
    const emitted = now()
    for (let event = 0; event < events; event++) emit(text)
    latencies.push(await acknowledged - emitted)
  }
  return { cpu: await stopCpu(), latencies }
}

async function startCpu () {
  peak = 0
  if (profile !== undefined) stopProfile = await startProfile(profile)
  cpuBefore = process.cpuUsage()
}

/** Microseconds since `startCpu()`, with all threads. */
async function stopCpu () {
  const { user, system } = process.cpuUsage(cpuBefore)
  await stopProfile?.()
  return user + system
}

async function measureMemory () {
  for (let i = 0; i < 6; i++) {
    await setTimeout(50)
    globalThis.gc()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, rss }
}

/** The most resident memory since `startCpu()`. */
async function peakMemory () {
  return peak
}

/** The longest that the event loop was held, in milliseconds. */
async function measureDelay ({ milliseconds }) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await setTimeout(milliseconds)
  delay.disable()
  return delay.max / 1e6
}

/** Until no connection is left. */
async function untilQuiet () {
  while (await countConnections() > 0) await setTimeout(20)
}

function countConnections () {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => error ? reject(error) : resolve(count))
  })
}
