/**
 * One server-sent event (WHATWG HTML, 9.2.6), in the shape that NestJS's `@Sse()` takes. `T` is the type of its `data`,
 * `Type` that of its name.
 *
 * A field that is absent is not written; so are `undefined`, and `null` but in `data`. A message without any field
 * writes nothing. A plain object with another key is refused with `FST_SSE_UNKNOWN_FIELD`, since it would lose data
 * silently; of an instance of a class, these five fields alone are read.
 *
 * @example
 * ```ts
 * const message: MessageEvent<{ price: number }> = { id: 7, type: 'tick', data: { price: 1.5 } }
 * // id: 7
 * // event: tick
 * // data: {"price":1.5}
 * ```
 */
export interface MessageEvent<T = unknown, Type extends string = string> {
  /**
   * What the client gets as `event.data`. A string is sent as it is, a line of it per `data` field; anything else,
   * `null` too, as what the serializer makes of it (JSON by default).
   */
  readonly data?: T | undefined
  /**
   * The id that the browser sends back as `Last-Event-ID` when it reconnects: a finite number, or at most 1 024
   * characters of printable ASCII without outer spaces. Other ids do not survive the way back in a header, and are
   * refused with `FST_SSE_INVALID_FIELD`. `''` makes the browser forget the last id.
   */
  readonly id?: string | number | null | undefined
  /**
   * The event's name, which is written as the field `event`: a string without line ends. Browsers take `message` if
   * there is none.
   */
  readonly type?: Type | null | undefined
  /**
   * How long the browser waits before it reconnects, in whole milliseconds from 0. It keeps this time until another
   * comes.
   */
  readonly retry?: number | null | undefined
  /** A text that clients ignore. */
  readonly comment?: string | null | undefined
  /**
   * This is no field: the name of an event is its `type`. Without this member, the slip `{ event: 'tick' }` would
   * compile.
   */
  readonly event?: never
}

/**
 * The messages of a stream whose events have names, each with the type of its `data`. To test `type` narrows `data`.
 *
 * `message` is the name that browsers give an event without one: its `type` may be left out. So may the `data` of an
 * event that is declared `undefined`. Messages that have neither `type` nor `data`, and only carry an `id`, a `retry`
 * or a `comment`, belong to every such stream; bare values belong to none.
 *
 * @example
 * ```ts
 * type Market = SseEvents<{ tick: { price: number }, reset: undefined }>
 * const market$ = new Subject<Market>()
 * app.get('/market', (request, reply) => reply.sse<Market>(market$))
 * market$.next({ type: 'tick', data: { price: 1.5 } })
 * market$.next({ type: 'reset' })
 * ```
 */
export type SseEvents<Events extends object> =
  | { [Name in keyof Events & string]: SseEvent<Name, Events[Name]> }[keyof Events & string]
  | MessageEvent<never, never>

type SseEvent<Name extends string, T> =
  & Omit<MessageEvent, 'data' | 'type'>
  & (Name extends 'message' ? Pick<MessageEvent<T, Name>, 'type'> : { readonly type: Name })
  & (undefined extends T ? Pick<MessageEvent<T>, 'data'> : { readonly data: T })

/**
 * What a source may emit: a message, or a bare string, number, boolean, `null` or array, which becomes the `data` of a
 * message. `T` is the type of `data`; or it is that of messages (`MessageEvent`, `SseEvents`), and then of all that is
 * emitted.
 */
export type SseValue<T = unknown> = IsMessage<T> extends true ? T : MessageEvent<T> | SseBareValue<T>

/** A message, by the type of its `data` or by its own. */
export type SseMessage<T = unknown> = IsMessage<T> extends true ? T : MessageEvent<T>

/**
 * Whether `T` is a type of messages: it has all five fields. A type of `data` may have an `id` or a `type` of its own.
 */
type IsMessage<T> = [Field] extends [keyof T] ? [T] extends [MessageEvent] ? true : false : false

type Field = Exclude<keyof MessageEvent, 'event'>

type SseBareValue<T> = unknown extends T ? BareValue : Extract<T, BareValue>

type BareValue = string | number | boolean | null | readonly unknown[]

/**
 * The type `T` as it was given, and never inferred from an argument. `NoInfer` would not do: a union within it is not
 * distributed over its members any more.
 */
export type Given<T> = [T][T extends unknown ? 0 : never]
