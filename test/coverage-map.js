import { readdirSync } from 'node:fs'

// What the tests answer for: the plugin, and not their own fixtures.
const files = ['dist/index.js', ...readdirSync('dist/lib').filter((name) => name.endsWith('.js')).map((name) => `dist/lib/${name}`)]

export default () => files
