import { readdirSync } from 'node:fs'

// What the tests answer for: the plugin, and not their own fixtures.
const names = readdirSync('dist/lib', { recursive: true }).filter((name) => name.endsWith('.js'))
const files = ['dist/index.js', ...names.map((name) => `dist/lib/${name}`)]

export default () => files
