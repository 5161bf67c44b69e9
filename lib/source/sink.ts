/** Where the values of a source go. */
export interface Sink {
  next (value: unknown): void
  error (error: unknown): void
  complete (): void
  /** Whether a source that can wait should go on; if not, it is resumed when it should. */
  wantsMore (): boolean
  /** Comes before all else, so that a source can be let go of while it is being subscribed to. */
  onSubscribe (subscription: SourceSubscription): void
}

export interface SourceSubscription {
  unsubscribe (): void
  /** It could give more, and waits until the sink wants it. Observables have no way to wait. */
  readonly isPaused?: boolean
  /** The sink wants more again. */
  continue? (): void
}
