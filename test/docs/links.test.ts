import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import { ROOT, anchorsOf, findPages, linksOf, pathsOf, readPage } from '../fixtures/markdown.ts'

const pages = findPages()

/** Where a link leads to, by a path from the repository's folder. */
function resolve (page: string, target: string): { path: string, anchor: string } {
  const [path = '', anchor = ''] = target.split('#')
  return { path: path === '' ? page : posix.join(posix.dirname(page), decodeURI(path)), anchor }
}

t.test('Should have the pages that every project has', async (t) => {
  for (const page of ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/README.md']) {
    t.ok(pages.includes(page), page)
  }
})

t.test('Should keep the README to 260 lines', async (t) => {
  const lines = readPage('README.md').trimEnd().split('\n').length
  t.ok(lines <= 260, `${lines} lines`)
})

for (const page of pages) {
  t.test(`Should have no dead link in ${page}`, async (t) => {
    for (const { line, target } of linksOf(page)) {
      // Other sites are not asked.
      if (/^https?:/.test(target)) continue
      const { path, anchor } = resolve(page, target)
      t.ok(!path.startsWith('..') && existsSync(`${ROOT}${path}`), `${page}:${line}: ${target}`)
      if (anchor !== '') t.ok(path.endsWith('.md') && anchorsOf(path).has(anchor), `${page}:${line}: the anchor of ${target}`)
    }
  })

  t.test(`Should name files that there are in ${page}`, async (t) => {
    for (const path of pathsOf(page)) t.ok(existsSync(`${ROOT}${path}`), `${page}: ${path}`)
  })
}

t.test('Should lead to every page from the index and from the README', async (t) => {
  for (const index of ['docs/README.md', 'README.md']) {
    const linked = new Set(linksOf(index).map(({ target }) => resolve(index, target).path))
    for (const page of pages) {
      if (page.startsWith('docs/') && page !== index) t.ok(linked.has(page), `${index} leads to ${page}`)
    }
  }
})

t.test('Should find links and anchors as GitHub does', async (t) => {
  t.ok(linksOf('README.md').some(({ target }) => target === 'docs/clients.md#what-a-client-does-at-each-answer'))
  t.ok(linksOf('README.md').length > 40)
  const anchors = anchorsOf('docs/options.md')
  t.ok(anchors.has('open-when-the-response-headers-are-sent'), 'a heading with code and a colon')
  t.ok(anchors.has('shutdownretry'), 'a heading with a dot')
  t.ok(anchorsOf('docs/examples.md').has('openais-chat-completions'), 'a heading with an apostrophe')
  t.notOk(anchorsOf('docs/typescript-and-modules.md').has('not-a-heading'))
})
