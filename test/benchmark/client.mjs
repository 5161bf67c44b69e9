import { once } from 'node:events'
import { connect } from 'node:net'
import { answer } from './answer.mjs'
import { now } from './clock.mjs'
import { Reader } from './reader.mjs'

/** How many connections are being opened at a time. */
const LANES = 100

/** Milliseconds without any event after which no more are expected. */
const PATIENCE = 10_000

let acknowledgements = null
let readers = []
/** How many events each has after this turn, and how many connections have fewer. */
let target = 0
let behind = 0
let hasProgress = false
let endTurn = () => {}

setInterval(() => {
  if (behind > 0 && !hasProgress) throw new Error(`${behind} of ${readers.length} clients have not got event ${target}`)
  hasProgress = false
}, PATIENCE).unref()

answer({ open, acknowledgeTurns, readAll, herd, untilAllHave, check, close, churn })

/** Opens connections, each of which must have its head. */
async function open ({ port, path = '/events', count, lastEventId, lanes = LANES }) {
  let index = 0
  await inLanes(count, lanes, async () => {
    const [reader, opened] = openReader({ port, path, lastEventId, index: index++ })
    readers.push(reader)
    await opened
  })
}

async function inLanes (count, lanes, step) {
  let left = count
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, async () => {
    while (left-- > 0) await step()
  }))
}

function openReader (options) {
  let reader
  const opened = new Promise((resolve) => {
    reader = new Reader(options, { onOpen: resolve, onEvents: counted, onEnd })
    function onEnd (error) {
      // All that was expected has come: a stream may end.
      if (target === 0 || reader.events !== target) throw error
    }
  })
  return [reader, opened]
}

function counted (before, after) {
  hasProgress = true
  if (before < target && after >= target && --behind === 0) endTurn()
}

/** From now on, tells the server each time that all connections have so many events more. */
async function acknowledgeTurns ({ port, events }) {
  if (acknowledgements === null) {
    acknowledgements = connect({ port, host: '127.0.0.1', noDelay: true })
    acknowledgements.on('error', () => {})
    await once(acknowledgements, 'connect')
  }
  const time = Buffer.alloc(8)
  const expectTurn = () => {
    hasProgress = true
    target += events
    behind = readers.length
  }
  endTurn = () => {
    time.writeDoubleLE(now())
    expectTurn()
    acknowledgements.write(time)
  }
  expectTurn()
}

/** One connection, until it has so many events. */
async function readAll ({ port, path, events }) {
  target = events
  behind = 1
  hasProgress = true
  const all = new Promise((resolve) => { endTurn = resolve })
  await open({ port, path, count: 1 })
  await all
}

/** How many milliseconds it takes until all connections, which are opened at once, have so many events. */
async function herd ({ port, count, lastEventId, events }) {
  target = events
  behind = count
  hasProgress = true
  const all = new Promise((resolve) => { endTurn = resolve })
  const started = now()
  await open({ port, path: '/herd', count, lastEventId, lanes: count })
  await all
  return now() - started
}

async function untilAllHave ({ events }) {
  target = events
  behind = readers.filter((reader) => reader.events < events).length
  hasProgress = true
  if (behind > 0) await new Promise((resolve) => { endTurn = resolve })
  check({ events })
}

/** Every client has every event, and none twice. */
function check ({ events }) {
  const wrong = readers.filter((reader) => reader.events !== events)
  if (wrong.length === 0) return
  const counts = [...new Set(wrong.map((reader) => reader.events))].slice(0, 5).join(', ')
  throw new Error(`${wrong.length} of ${readers.length} clients have ${counts} events instead of ${events}`)
}

function close () {
  for (const reader of readers) reader.close()
  readers = []
  target = 0
  behind = 0
  endTurn = () => {}
  acknowledgements?.destroy()
  acknowledgements = null
}

/** Connections that are closed as soon as they are open. */
async function churn ({ port, count }) {
  await inLanes(count, LANES, async () => {
    const [reader, opened] = openReader({ port, path: '/events', index: 0 })
    await opened
    reader.close()
  })
}
