import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/**
 * The rooms, from the top down: a room may import from those below it and from itself, and never from one beside it or
 * above it. Type imports count. ARCHITECTURE.md says what each room is for.
 */
const LAYERS = [
  ['index.ts', 'lib/exports'],
  ['lib/reply'],
  ['lib/stream'],
  ['lib/server', 'lib/route'],
  ['lib/event-log', 'lib/options.ts'],
  ['lib/source', 'lib/wire'],
  ['lib/check.ts', 'lib/fifo.ts', 'lib/abort.ts'],
  ['types', 'lib/errors.ts', 'lib/preview.ts', 'lib/duck-type.ts', 'lib/isolate.ts']
] as const

const root = fileURLToPath(new URL('../../', import.meta.url))
const IMPORT = /^(?:import|export)\b[^'"]*?(?:from )?'(\.{1,2}\/[^']+)'/gm

/** The files that each source file imports, by paths from the root. */
function readImports (): Map<string, string[]> {
  const names = ['lib', 'types'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name.split(sep).join('/')}`))
  return new Map(['index.ts', ...names].filter((name) => name.endsWith('.ts')).map((name) => {
    const text = readFileSync(join(root, name), 'utf8')
    return [name, [...text.matchAll(IMPORT)].map(([, path = '']) => posix.join(dirname(name), path))]
  }))
}

function roomOf (file: string): { room: string, layer: number } {
  const layer = LAYERS.findIndex((rooms) => rooms.some((room) => isIn(file, room)))
  const room = LAYERS[layer]?.find((name) => isIn(file, name))
  if (room === undefined) throw new Error(`${file} is in no room: give it a line in LAYERS, and in ARCHITECTURE.md`)
  return { room, layer }
}

function isIn (file: string, room: string): boolean {
  return file === room || file.startsWith(`${room}/`)
}

/** The files of one circle of imports, or `null`. */
function findCircle (imports: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return null
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...path, file])
      if (circle !== null) return circle
    }
    done.add(file)
    return null
  }
  for (const file of imports.keys()) {
    const circle = visit(file, [])
    if (circle !== null) return circle
  }
  return null
}

const imports = readImports()

t.test('Should find the imports', async (t) => {
  t.ok(imports.size > 50, `${imports.size} files`)
  t.ok(imports.get('lib/stream/outbox.ts')?.includes('lib/wire/frame.ts'))
  t.ok(imports.get('index.ts')?.includes('types/index.ts'))
})

t.test('Should import one way, down the rooms, types included', async (t) => {
  const against: string[] = []
  for (const [file, targets] of imports) {
    const from = roomOf(file)
    for (const target of targets) {
      const to = roomOf(target)
      if (from.room !== to.room && from.layer >= to.layer) against.push(`${file} → ${target}`)
    }
  }
  t.same(against, [])
})

t.test('Should import in no circle, types included', async (t) => {
  t.equal(findCircle(imports), null)
  t.same(findCircle(new Map([['a', ['b']], ['b', ['c']], ['c', ['b']]])), ['b', 'c', 'b'], 'and a circle is found')
})

t.test('Should have no source at the top but index.ts', async (t) => {
  t.same(readdirSync(root).filter((name) => /\.[cm]?[jt]s$/.test(name)), ['index.ts'])
})
