const TRIES = 8
/** How long one may take, and how long until the next, in milliseconds. */
const TIMEOUT = 10_000
const PAUSE = 1000

/** For one message, however often it is sent. */
export function createKey () {
  // Where the page comes from another machine without TLS, there is no `crypto.randomUUID()`.
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * Sends a message until a server has taken it: one that dies while it takes it has done so, or not. Its key lets who
 * reads tell. Rejects with why it cannot be sent.
 */
export async function send (room, message, onRetry) {
  for (let tries = 1; ; tries++) {
    const failure = await post(room, message)
    if (failure === null) return
    if (failure.isFinal || tries === TRIES) throw new Error(failure.reason)
    onRetry()
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
}

async function post (room, message) {
  try {
    const response = await fetch(`/rooms/${room}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(TIMEOUT)
    })
    if (response.ok) return null
    const { message: reason } = await response.json()
    return { reason, isFinal: response.status < 500 }
  } catch {
    return { reason: 'the server cannot be reached', isFinal: false }
  }
}
