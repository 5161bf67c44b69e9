import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CONTESTANTS, SPECIALISTS, VARIANTS } from './contestants.mjs'
import { SCENES } from './scenes.mjs'

const HELP = `Usage: node test/benchmark/run.mjs [options]

  --scene NAME,…     only these scenes: ${SCENES.map(({ name }) => name).join(', ')}
  --only NAME,…      only these contestants: ${[...CONTESTANTS, ...SPECIALISTS].join(', ')};
                     or this plugin without one of its steps: ${VARIANTS.join(', ')}
  --before DIR       this plugin too as it is built in another checkout, and an interval of the ratio to it
  --rounds N         how often each is measured; 3
  --connections N    in all scenes, instead of their own number
  --quick            little of everything, in one round: the numbers mean nothing
  --json FILE        write all numbers to a file
  --prof DIRECTORY   write a CPU profile of what is measured of each server, which makes it slower
`

/** What was asked for on the command line. */
export function parseOptions (args) {
  const { values } = parseArgs({
    args,
    options: {
      scene: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      before: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      prof: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(HELP)
    process.exit()
  }
  const connections = numberOf('connections', values.connections)
  const contestants = values.only === undefined
    ? [...CONTESTANTS, ...SPECIALISTS]
    : pick('only', [...CONTESTANTS, ...VARIANTS, ...SPECIALISTS], values.only)
  if (values.before !== undefined) process.env.BENCHMARK_BEFORE = resolve(values.before)
  return {
    contestants: values.before === undefined ? contestants : [...new Set([...contestants, 'before'])],
    scenes: SCENES
      .filter(({ name }) => pick('scene', SCENES.map((scene) => scene.name), values.scene).includes(name))
      .map((scene) => sizeScene(scene, values.quick, connections)),
    rounds: numberOf('rounds', values.rounds) ?? (values.quick ? 1 : 3),
    isQuick: values.quick,
    json: values.json,
    prof: values.prof
  }
}

function pick (option, all, lists) {
  if (lists === undefined) return all
  const names = lists.flatMap((list) => list.split(','))
  const unknown = names.find((name) => !all.includes(name))
  if (unknown !== undefined) throw new Error(`--${option}: there is no "${unknown}", but ${all.join(', ')}`)
  return all.filter((name) => names.includes(name))
}

function numberOf (option, text) {
  if (text === undefined) return undefined
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new Error(`--${option} must be a whole number from 1; it is ${text}`)
  }
  return number
}

function sizeScene (scene, isQuick, connections) {
  const size = { ...(isQuick ? scene.quick : scene.full) }
  if (connections !== undefined && size.connections !== undefined) size.connections = connections
  return { ...scene, size, title: scene.describe(size) }
}
