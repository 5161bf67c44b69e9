import type { Observer, Unsubscribable } from 'rxjs'

/** Where the values of a source go. */
export interface Sink extends Observer<unknown> {
  /** Whether a source that can wait should go on; if not, it is resumed when it should. */
  wantsMore (): boolean
  /** Comes before all else, so that a source can be let go of while it is being subscribed to. */
  onSubscribe (subscription: SourceSubscription): void
}

export interface SourceSubscription extends Unsubscribable {
  /** It could give more, and waits until the sink wants it. Observables have no way to wait. */
  readonly isPaused?: boolean
  /** The sink wants more again. */
  continue? (): void
}
