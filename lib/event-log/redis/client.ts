/** What is used of the official client, `createClient()` of the package `redis`. */
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

/** The type of RESP3 that makes objects, in which a key may be lost: `__proto__`. */
const MAP = 37

/** Replies as strings, whatever the user's client is set to. */
const OPTIONS = { typeMapping: { [MAP]: Map } }

export async function send (client: RedisClient, args: readonly string[], abortSignal?: AbortSignal): Promise<unknown> {
  return await client.sendCommand(args, abortSignal === undefined ? OPTIONS : { ...OPTIONS, abortSignal })
}

/**
 * Gives up after some milliseconds: the client itself waits for as long as Redis is away. A command that has not left
 * by then never does.
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
