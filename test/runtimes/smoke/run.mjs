/**
 * The plugin as it was built, over sockets: on any runtime that has Node's modules, and with any Fastify.
 *
 *     node test/runtimes/smoke/run.mjs <folder with a node_modules/fastify> [<folder with an eventsource>…]
 *
 * Prints each check that fails, and `N passed, N failed`.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import sse from 'fastify-rxjs-sse'
import { cert, key } from '../../../dist/test/fixtures/tls.js'
import { transports } from './client.mjs'
import { clientChecks } from './clients.mjs'
import { everywhere } from './everywhere.mjs'
import { once } from './once.mjs'
import { play } from './scene.mjs'

/** What cannot pass, as the runtime itself lacks it: once it does pass, that is a failure too. */
const LACKING = 'Bun' in globalThis
  // The code that is given to close() of an HTTP/2 stream does not reach the client, which sees a clean end.
  ? ['HTTP/2: a broken connection for an error after the head']
  : []

Error.stackTraceLimit = 4

const [, , fastifyFolder = '.', ...clientFolders] = process.argv
const { default: fastify } = await load(fastifyFolder, 'fastify')
const ways = transports({ cert, key })

const checks = Object.entries(ways).flatMap(([name, transport]) => named(name, everywhere, transport))
checks.push(...named('plain', once, ways.plain))
for (const folder of clientFolders) {
  const { EventSource } = await load(folder, 'eventsource')
  checks.push(...named(`eventsource ${versionOf(folder, 'eventsource')}`, clientChecks(EventSource), ways.plain))
}

let passed = 0
let failed = 0
for (const { name, check, transport } of checks) {
  const error = await play(check, { fastify, sse, transport }).then(() => null, (error) => error)
  const isLacking = LACKING.includes(name)
  if (error === null && !isLacking) passed++
  if (error === null && isLacking) fail(name, 'passes, which it did not: take it off the list')
  if (error !== null && !isLacking) fail(name, error.stack ?? error)
}
console.log(`${passed} passed, ${failed} failed`)
for (const name of LACKING) console.log(`lacking in this runtime: ${name}`)
// What a failed check has left behind must not hold the process.
process.exit(failed === 0 ? 0 : 1)

function fail (name, reason) {
  failed++
  console.error(`not ok: ${name}: ${reason}`)
}

function named (place, all, transport) {
  return Object.entries(all).map(([name, check]) => ({ name: `${place}: ${name}`, check, transport }))
}

/** A package of that folder's own, and no other. */
async function load (folder, name) {
  const { resolve: find } = createRequire(join(resolve(folder), 'package.json'))
  return import(pathToFileURL(find(name)).href)
}

function versionOf (folder, name) {
  return JSON.parse(readFileSync(join(resolve(folder), 'node_modules', name, 'package.json'), 'utf8')).version
}
