import { FST_SSE_INVALID_OPTION } from '../../errors.ts'
import { kindOf } from '../../preview.ts'

/** The part of the official client that a log uses: `createClient()` of the package `redis`, version 5 or 6. */
export interface RedisClient {
  readonly isOpen: boolean
  readonly options: { readonly socket?: object | undefined } | undefined
  connect (): Promise<unknown>
  destroy (): void
  duplicate (overrides?: { socket?: object }): RedisClient
  on (event: string, listener: (error: unknown) => void): unknown
  ref (): void
  unref (): void
  sendCommand (args: readonly string[], options?: { abortSignal?: AbortSignal, typeMapping?: object }): Promise<unknown>
}

const METHODS = ['sendCommand', 'connect', 'destroy', 'duplicate', 'on', 'ref', 'unref'] as const satisfies
  ReadonlyArray<keyof RedisClient>

/** The kinds of clients that are refused by name, each with a member of its own. The first that matches counts. */
const UNSERVED_KINDS: ReadonlyArray<readonly [member: string, kind: string]> = [
  ['call', 'a client of ioredis'],
  ['slots', 'a cluster'],
  ['acquire', 'a sentinel'],
  ['totalClients', 'a pool'],
  ['internal_send_command', 'a client of redis 3 or older'],
  ['executeIsolated', 'a client of redis 4']
]

/** Returns the client, or throws `FST_SSE_INVALID_OPTION` for anything but a single client of redis 5 or 6. */
export function checkClient (client: unknown): RedisClient {
  const members = Object(client) as Record<string, unknown>
  const unserved = UNSERVED_KINDS.find(([member]) => members[member] !== undefined)
  const isServed = unserved === undefined && METHODS.every((name) => typeof members[name] === 'function')
  if (isServed) return client as RedisClient
  const expected = 'a client of the package "redis", version 5 or 6, made by createClient(): clusters, pools and ' +
    'sentinels are not served'
  throw new FST_SSE_INVALID_OPTION('client', expected, unserved?.[1] ?? kindOf(client))
}

/** The type number of a map in RESP3. As an object, the client's default, it would lose the key `__proto__`. */
const MAP = 37

/** Replaces the user's own type mapping: replies hold strings, and maps are of the class `Map`. */
const OPTIONS = { typeMapping: { [MAP]: Map } }

export async function send (client: RedisClient, args: readonly string[], abortSignal?: AbortSignal): Promise<unknown> {
  return await client.sendCommand(args, abortSignal === undefined ? OPTIONS : { ...OPTIONS, abortSignal })
}

/**
 * Sends a command, and rejects if there is no reply within some milliseconds: the client itself waits for as long as
 * Redis cannot be reached. A command that is still queued in the client then is never sent.
 */
export async function sendWithin (
  client: RedisClient, args: readonly string[], milliseconds: number
): Promise<unknown> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`Redis has not answered within ${milliseconds} ms`))
      controller.abort()
    }, milliseconds)
  })
  try {
    return await Promise.race([timeout, send(client, args, controller.signal)])
  } finally {
    clearTimeout(timer)
  }
}
