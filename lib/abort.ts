import { callEach } from './isolate.ts'

/**
 * All listeners of one signal, behind a single listener of the signal itself: many streams may share a signal, and Node
 * warns of more than ten listeners on one.
 */
class SharedListener {
  readonly #signal: AbortSignal
  readonly #listeners = new Set<() => void>()

  constructor (signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this, { once: true })
  }

  add (listener: () => void): void {
    this.#listeners.add(listener)
  }

  delete (listener: () => void): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    this.#signal.removeEventListener('abort', this)
    sharedListeners.delete(this.#signal)
  }

  handleEvent (): void {
    callEach(this.#listeners, (listener) => listener())
  }
}

const sharedListeners = new WeakMap<AbortSignal, SharedListener>()

/** Calls `listener` when the signal fires. Returns a function that removes the listener. */
export function onAbort (signal: AbortSignal, listener: () => void): () => void {
  let shared = sharedListeners.get(signal)
  if (shared === undefined) {
    shared = new SharedListener(signal)
    sharedListeners.set(signal, shared)
  }
  shared.add(listener)
  return () => shared.delete(listener)
}
