import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { RedisEventLog } from '../../../dist/lib/exports/redis.js'
import { startLog } from './log.mjs'

// Of the plugin.
const { createClient } = createRequire(new URL('../../../dist/index.js', import.meta.url))('redis')

/** With a Redis of its own, which ends with it. Nobody listens before the herd comes: memory holds nothing. */
export async function start () {
  const directory = mkdtempSync(join(tmpdir(), 'benchmark-redis-'))
  const path = join(directory, 'socket')
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--save', '', '--dir', directory], {
    stdio: 'ignore'
  })
  await once(redis, 'spawn')
  process.on('exit', () => {
    redis.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  const client = createClient({ socket: { path } })
  client.on('error', () => {})
  while (!client.isReady) await client.connect().catch(() => setTimeout(50))
  return await startLog(new RedisEventLog({ client, key: 'herd' }))
}
