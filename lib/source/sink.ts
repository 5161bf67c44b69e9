/** What the values of a source are handed to. No method throws. */
export interface Sink {
  next (value: unknown): void
  error (error: unknown): void
  complete (): void
  /** Whether a source that can wait should give its next value now. If not, it is continued when it should. */
  wantsMore (): boolean
  /** Called first of all, so that the sink can unsubscribe while the source is being subscribed to. */
  onSubscribe (subscription: SourceSubscription): void
}

/** A subscription to a source of any kind. */
export interface SourceSubscription {
  /** Releases the source. May throw what a teardown of the source throws. */
  unsubscribe (): void
  /** Whether the source waits until the sink wants its next value. An Observable never does, and lacks this. */
  readonly isPaused?: boolean
  /** Makes the source give its next values, for as long as the sink wants more. An Observable lacks this. */
  continue? (): void
}
