import type { EventEmitter } from 'node:events'

/** The listeners of an emitter at one time. */
export class ListenerSnapshot {
  readonly #emitter: EventEmitter
  readonly #listeners: ReadonlyMap<string | symbol, readonly Function[]>

  constructor (emitter: EventEmitter) {
    this.#emitter = emitter
    this.#listeners = new Map(emitter.eventNames().map((name) => [name, emitter.rawListeners(name)]))
  }

  /** Takes out what was added since. */
  restore (): void {
    const emitter = this.#emitter
    for (const name of emitter.eventNames()) {
      const known = this.#listeners.get(name) ?? []
      for (const listener of emitter.rawListeners(name)) {
        if (!known.includes(listener)) emitter.removeListener(name, listener as () => void)
      }
    }
  }
}
