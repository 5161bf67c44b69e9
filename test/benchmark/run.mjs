import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { formatBounds } from './bounds.mjs'
import { OURS, SPECIALISTS } from './contestants.mjs'
import { Child } from './child.mjs'
import { pickCores } from './cores.mjs'
import { parseOptions } from './options.mjs'
import { formatBefore, formatTable } from './table.mjs'

const { scenes, contestants, rounds, isQuick, json, prof } = parseOptions(process.argv.slice(2))
const cores = pickCores()
if (prof !== undefined) mkdirSync(prof, { recursive: true })
const client = new Child('client.mjs', [], { core: cores?.client })

console.log(`Node ${process.versions.node}, ${process.platform}, ${cpus()[0]?.model ?? 'unknown processor'}`)
console.log(cores === null
  ? 'Server and clients could NOT be pinned to different cores: they may disturb each other'
  : `Server on core ${cores.server}, clients on core ${cores.client}`)

const results = {}
try {
  for (let round = 0; round < rounds; round++) await runRound(round)
} finally {
  await client.stop()
}

for (const scene of scenes) {
  const measured = contestants.filter((name) => takesPart(scene, name))
  if (measured.length === 0) continue
  console.log(`\n### ${scene.title}\n\n${formatTable(scene, results[scene.name], measured)}`)
  if (measured.includes('before')) console.log(`\n${formatBefore(scene, results[scene.name], OURS)}`)
  // One short round says nothing of them.
  const bounds = isQuick ? '' : formatBounds(scene, results[scene.name], measured)
  if (bounds !== '') console.log(`\n${bounds}`)
}
if (json !== undefined) {
  const sizes = Object.fromEntries(scenes.map(({ name, size }) => [name, size]))
  const report = { node: process.versions.node, isPinned: cores !== null, sizes, results }
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
}

/** Each scene with each contestant, who take turns in being the first. */
async function runRound (round) {
  const first = round % contestants.length
  const order = [...contestants.slice(first), ...contestants.slice(0, first)]
  for (const scene of scenes) {
    const metrics = {}
    for (const name of order.filter((one) => takesPart(scene, one))) {
      progress(`round ${round + 1} of ${rounds}: ${scene.name}, ${name}`)
      metrics[name] = await measure(scene, name)
    }
    results[scene.name] ??= []
    results[scene.name].push(metrics)
  }
  progress('')
}

function takesPart (scene, name) {
  return scene.contestants === undefined ? !SPECIALISTS.includes(name) : scene.contestants.includes(name)
}

async function measure (scene, name) {
  const args = [name, scene.size.tokens ?? 0]
  if (prof !== undefined) args.push(join(prof, `${scene.name}-${name}.cpuprofile`))
  const server = new Child('server.mjs', args, { core: cores?.server, execArgv: ['--expose-gc'] })
  try {
    return await Promise.race([scene.run(server, client, scene.size), client.failure, server.failure])
  } catch (error) {
    throw new Error(`${name} has failed in the scene "${scene.name}"`, { cause: error })
  } finally {
    // If it cannot, it has failed before.
    await client.call('close').catch(() => {})
    await server.stop()
  }
}

/** On one line, where somebody looks on. */
function progress (text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}
