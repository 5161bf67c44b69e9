/**
 * `npm run test:runtimes`: the plugin as it was built, on what its users have. Takes every step, or those that are named:
 *
 *     npm run test:runtimes -- smoke typescript node-26
 *
 * What each step needs is installed first, by `npm ci` in the folders beside this file.
 */
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')

/** How long a program may take that is not the suite, in milliseconds. */
const LIMIT = 180_000

const NODES = ['node-22', 'node-24', 'node-26']
const FASTIFYS = ['fastify-5.0.0', 'fastify-5.12.8', 'fastify-6.0.0-alpha.4']
const CLIENTS = ['eventsource-4', 'eventsource-5']

const steps = {
  smoke () {
    const at = Number(process.versions.node.split('.')[0])
    const results = [{ name: `node-${at} (at hand)`, command: [process.execPath], major: at },
      ...NODES.map((name) => ({ name, command: [nodeIn(name)], major: Number(name.slice(5)) }))
    ].flatMap((runtime) => FASTIFYS
      // Fastify 6 needs Promise.withResolvers().
      .filter((fastify) => runtime.major >= 22 || !fastify.startsWith('fastify-6.'))
      .map((fastify) => smoke(runtime, fastify)))
    for (const runtime of [
      { name: 'bun', command: [join(here, 'bun/node_modules/.bin/bun')] },
      { name: 'deno', command: [join(here, 'deno/node_modules/.bin/deno'), 'run', '--allow-all'] }
    ]) results.push(smoke(runtime, 'fastify-5.12.8'))
    return results.every(Boolean)
  },
  typescript: () => run([process.execPath, join(here, 'typescript/check.mjs')], { timeout: LIMIT }),
  install: () => run([process.execPath, join(here, 'install.mjs')], { timeout: LIMIT }),
  ...Object.fromEntries(NODES.map((name) => [name, () => runSuite(nodeIn(name))]))
}

/** The folders that a step needs. */
const needs = { smoke: [...NODES, ...FASTIFYS, ...CLIENTS, 'bun', 'deno'], typescript: ['typescript'], install: [] }

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps)
const unknown = names.filter((name) => !Object.hasOwn(steps, name))
if (unknown.length > 0) throw new Error(`no step: ${unknown.join()}; there are ${Object.keys(steps).join()}`)

const rows = [timed('npm ci', () => [...new Set(names.flatMap((name) => needs[name] ?? [name]))].map(install).every(Boolean))]
for (const name of names) rows.push(timed(name, steps[name]))

console.log(`\n${rows.map(({ name, isPassed, seconds }) => `${isPassed ? 'passed' : 'FAILED'}  ${seconds} s  ${name}`).join('\n')}`)
process.exitCode = rows.every(({ isPassed }) => isPassed) ? 0 : 1

function timed (name, step) {
  const start = performance.now()
  const isPassed = step()
  return { name, isPassed, seconds: String(Math.round((performance.now() - start) / 1000)).padStart(5) }
}

/** Runs a program; gives whether it went well. */
function run ([command, ...args], options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', killSignal: 'SIGKILL', ...options })
  if (error !== undefined) console.error(`${command}: ${error.message}`)
  return status === 0
}

function install (folder) {
  const arguments_ = ['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error']
  return run(arguments_, { cwd: join(here, folder), shell: process.platform === 'win32', timeout: LIMIT })
}

function nodeIn (folder) {
  return join(here, folder, 'node_modules/node/bin/node')
}

function smoke ({ name, command }, fastify) {
  console.log(`\n${name}, ${fastify}`)
  const folders = [fastify, ...CLIENTS].map((folder) => join(here, folder))
  return run([...command, join(here, 'smoke/run.mjs'), ...folders], { timeout: LIMIT })
}

/** The suite under that Node, which the programs that tests start find first. */
function runSuite (node) {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  return run([node, join(root, 'dist/test/scripts/suite.js')], { env })
}
