/** All that one signal ends: many streams may share a signal, and Node warns of more than ten listeners on it. */
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
    shared.delete(this.#signal)
  }

  handleEvent (): void {
    for (const listener of this.#listeners) listener()
  }
}

const shared = new WeakMap<AbortSignal, SharedListener>()

/** Calls `listener` when the signal fires. Gives a function that takes it back. */
export function onAbort (signal: AbortSignal, listener: () => void): () => void {
  let listeners = shared.get(signal)
  if (listeners === undefined) {
    listeners = new SharedListener(signal)
    shared.set(signal, listeners)
  }
  listeners.add(listener)
  return () => listeners.delete(listener)
}
