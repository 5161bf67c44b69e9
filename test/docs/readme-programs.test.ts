import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { eventsOf } from '../fixtures/app.ts'
import { FRAGMENT_GLOBALS } from '../fixtures/fragment-globals.ts'
import { fencesOf, findPages } from '../fixtures/markdown.ts'
import type { Fence } from '../fixtures/markdown.ts'
import { installPacked } from '../fixtures/packed-package.ts'

/** How long a program may take for each thing that it must do, in milliseconds. */
const LIMIT = 20_000

const run = promisify(execFile)
const pages = findPages().filter((page) => page === 'README.md' || page.startsWith('docs/'))

/** A whole program of the texts, and the curl command that shows it at work. */
interface Program {
  readonly fence: Fence
  readonly curl: string
}

/** A program is a code block that listens. The next curl command of its page tries it, or else the one before. */
function programsOf (page: string): Program[] {
  const fences = fencesOf(page)
  return fences.flatMap((fence, i) => {
    if (!isScript(fence) || !fence.code.includes('.listen(') || isTestFile(fence)) return []
    const curl = fences.slice(i).find(isCurl) ?? fences.slice(0, i).findLast(isCurl)
    if (curl === undefined) throw new Error(`${page}:${fence.line}: no curl command shows the program at work`)
    return [{ fence, curl: curl.code }]
  })
}

function isCurl ({ code }: Fence): boolean {
  return code.startsWith('curl ')
}

function isScript ({ language }: Fence): boolean {
  return language === 'js' || language === 'ts'
}

function isTestFile ({ code }: Fence): boolean {
  return code.includes("from 'node:test'")
}

function isCommonJs ({ code }: Fence): boolean {
  return /^const .* = require\('fastify'\)$/m.test(code)
}

const nameOf = ({ page, line }: Fence): string => `${page.replaceAll(/\W/g, '-')}-${line}`
const scripts = pages.flatMap(fencesOf).filter(isScript)
const programs = pages.flatMap(programsOf)

/** The code of an ES module, as one would write it in CommonJS: `require` for its imports, and a function for the rest. */
function toCommonJs (code: string): string {
  const lines: string[] = []
  const body = code.replaceAll(/^import (\w+)?(?:, )?(\{[^}]*\})? ?from '([^']+)';?$/gm,
    (_line, name: string | undefined, names: string | undefined, from: string) => {
      // Fastify takes the plugin out of what `require()` gives for it.
      if (name !== undefined) lines.push(`const ${name} = require('${from}')`)
      if (names !== undefined) lines.push(`const ${names.replaceAll(' as ', ': ')} = require('${from}')`)
      return ''
    })
  if (/^import /m.test(body)) throw new Error(`an import that the test does not know: ${body}`)
  return `${lines.join('\n')}\n\nasync function main () {\n${body}\n}\n\nmain()\n`
}

/** Runs before a program, which listens on a port that the test cannot know: it reports that of the first server. */
const REPORT_PORT = `import { Server } from 'node:net'
const { emit } = Server.prototype
Server.prototype.emit = function (event, ...args) {
  if (event === 'listening') process.send(this.address().port)
  return emit.call(this, event, ...args)
}
`

/** Starts a program on a free port, and checks that two events come of what the curl command asks for. */
async function tryProgram (t: Test, file: string, curl: string): Promise<void> {
  const child = fork(file, {
    execArgv: ['--import', './report-port.mjs'],
    cwd: folder,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  let output = ''
  child.stdout?.on('data', (chunk) => { output += chunk })
  child.stderr?.on('data', (chunk) => { output += chunk })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })

  const signal = AbortSignal.timeout(LIMIT)
  const port = await Promise.race([
    once(child, 'message', { signal }).then(([message]) => Number(message)),
    exit.then(() => { throw new Error(`the program has ended: ${output}`) })
  ])
  const { url, init } = requestOf(curl, port)
  const response = await fetch(url, { ...init, signal })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  let count = 0
  for await (const { data } of eventsOf(response)) {
    t.not(data, '')
    if (++count === 2) break
  }
  t.equal(count, 2, 'two events have come')

  // A program that has a way to end by a signal does so, with an open stream.
  if ((await readFile(file, 'utf8')).includes("'SIGTERM'") && process.platform !== 'win32') {
    const open = await fetch(url, { ...init, signal })
    child.kill('SIGTERM')
    t.match(await open.text(), /retry: \d+\n+$/, 'the stream has ended as it should')
    t.strictSame(await Promise.race([exit, once(signal, 'abort')]), [0, null], 'so has the program')
  }
  t.equal(output, '')
}

/** What `curl` would send, to a program on that port. */
function requestOf (curl: string, port: number): { url: string, init: RequestInit } {
  const [, ...words] = Array.from(curl.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, word]) => quoted ?? word ?? '')
  const init: RequestInit & { headers: Record<string, string> } = { headers: {} }
  let url = ''
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    if (word === '-H') {
      const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(words[++i] ?? '') ?? []
      init.headers[name] = value
    } else if (word === '-d') {
      Object.assign(init, { method: 'POST', body: words[++i] })
    } else if (word?.startsWith('http://localhost:3000/') === true) {
      url = word.replace(':3000', `:${port}`)
    } else if (word !== '-N') {
      throw new Error(`the test does not know this part of a curl command: ${word}`)
    }
  }
  return { url, init }
}

// All of it takes ten seconds where nothing else runs.
t.setTimeout(9 * LIMIT)
const folder = await installPacked(t)
const compiled = join(folder, 'compiled')
await writeFile(join(folder, 'report-port.mjs'), REPORT_PORT)

t.test('Should find the programs of the texts', async (t) => {
  const inReadme = programs.filter(({ fence }) => fence.page === 'README.md').map(({ fence }) => isCommonJs(fence))
  t.strictSame(inReadme, [false, true], 'one as an ES module, and one as CommonJS')
  t.ok(programs.length >= 6, `${programs.length} programs`)
  t.ok(scripts.filter(({ language }) => language === 'ts').length >= 30)
})

t.test('Should compile: each piece of TypeScript against the packed types, each script without an error of grammar', async (t) => {
  const options = {
    target: 'es2023', lib: ['es2023'], types: ['node'], module: 'nodenext', moduleDetection: 'force', strict: true,
    skipLibCheck: true, allowJs: true, outDir: 'compiled', rootDir: 'pieces'
  }
  await mkdir(join(folder, 'pieces'))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['pieces'] }))
  await writeFile(join(folder, 'pieces', 'globals.d.ts'), FRAGMENT_GLOBALS)
  for (const fence of scripts) {
    const extension = isCommonJs(fence) || /^const .* = require\(/m.test(fence.code) ? `c${fence.language}` : fence.language
    await writeFile(join(folder, 'pieces', `${nameOf(fence)}.${extension}`), fence.code)
  }
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const { stdout } = await run(process.execPath, [tsc], { cwd: folder, timeout: 3 * LIMIT })
    .catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? String(error) }))
  t.equal(stdout, '')
})

for (const { fence, curl } of programs) {
  for (const format of isCommonJs(fence) ? ['CommonJS'] : ['an ES module', 'CommonJS']) {
    t.test(`Should run, as ${format}: ${fence.page}:${fence.line}`, async (t) => {
      const path = join(compiled, `${nameOf(fence)}.${isCommonJs(fence) ? 'cjs' : 'js'}`)
      // On a free port, and with less to wait for.
      const code = (await readFile(path, 'utf8'))
        .replace('port: 3000', 'port: 0')
        .replaceAll('interval(1000)', 'interval(10)')
      const isToBeConverted = format === 'CommonJS' && !isCommonJs(fence)
      const file = join(folder, `${nameOf(fence)}.${format === 'CommonJS' ? 'cjs' : 'mjs'}`)
      await writeFile(file, isToBeConverted ? toCommonJs(code) : code)
      await tryProgram(t, file, curl)
    })
  }
}

for (const fence of scripts.filter(isTestFile)) {
  t.test(`Should pass, as a test: ${fence.page}:${fence.line}`, async (t) => {
    const file = join(folder, `${nameOf(fence)}.mjs`)
    await writeFile(file, fence.code)
    const env = { ...process.env }
    // Else the runner takes itself for a part of this test.
    delete env['NODE_TEST_CONTEXT']
    const { stdout } = await run(process.execPath, ['--test', file], { cwd: folder, env, timeout: LIMIT })
    t.match(stdout, /^# pass 1$/m)
    t.match(stdout, /^# fail 0$/m)
  })
}
