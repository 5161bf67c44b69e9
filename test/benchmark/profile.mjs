import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

/** Starts a CPU profile of this process. Gives a function that ends it, and writes it to a file. */
export async function startProfile (file) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    writeFileSync(file, JSON.stringify(profile))
  }
}
