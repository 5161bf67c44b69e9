/**
 * One server-sent event (WHATWG HTML, 9.2): the shape that NestJS's `@Sse()` takes. `T` is the type of its `data`,
 * `Type` that of its name. Absent fields are not written.
 */
export interface MessageEvent<T = unknown, Type extends string = string> {
  /** A string goes out as it is, line by line; anything else, `null` too, through the serializer (JSON). */
  readonly data?: T | undefined
  /**
   * What the browser sends back as `Last-Event-ID` when it reconnects: a finite number, or at most 1 024 characters of
   * printable ASCII without outer spaces. `''` makes the browser forget the last id.
   */
  readonly id?: string | number | null | undefined
  /** The event's name, without line ends; where there is none, browsers fire `message`. */
  readonly type?: Type | null | undefined
  /** How long the browser waits before it reconnects, in whole milliseconds. It keeps that until it is told anew. */
  readonly retry?: number | null | undefined
  /** Text that clients ignore. */
  readonly comment?: string | null | undefined
}

/**
 * The messages of a stream whose events have names: `SseEvents<{ tick: Tick, trade: Trade }>` ties each `type` to its
 * `data`, and to test `type` narrows `data`. `message` is the name that browsers give an event without one: its `type`
 * may be left out. So may the `data` of an event that is declared `undefined`. Messages with neither, which only carry
 * an `id`, a `retry` or a `comment`, belong to every such stream; bare values to none.
 */
export type SseEvents<Events extends object> =
  | { [Name in keyof Events & string]: SseEvent<Name, Events[Name]> }[keyof Events & string]
  | MessageEvent<never, never>

type SseEvent<Name extends string, T> =
  & Omit<MessageEvent, 'data' | 'type'>
  & (Name extends 'message' ? Pick<MessageEvent<T, Name>, 'type'> : { readonly type: Name })
  & (undefined extends T ? Pick<MessageEvent<T>, 'data'> : { readonly data: T })

/**
 * What a source may emit: a message, or a bare value that becomes a message's `data`. `T` is the type of `data`, or,
 * where it is that of messages (`MessageEvent`, `SseEvents`), what is emitted.
 */
export type SseValue<T = unknown> = IsMessage<T> extends true ? T : MessageEvent<T> | SseBareValue<T>

/** A message, by the type of its `data` or by its own. */
export type SseMessage<T = unknown> = IsMessage<T> extends true ? T : MessageEvent<T>

/** A type with all five fields is that of messages: data with an `id` or a `type` of its own is still data. */
type IsMessage<T> = [keyof MessageEvent] extends [keyof T] ? [T] extends [MessageEvent] ? true : false : false

type SseBareValue<T> = unknown extends T ? BareValue : Extract<T, BareValue>

type BareValue = string | number | boolean | null | readonly unknown[]

/** T as it was given, never inferred. `NoInfer` would not do: a union within it is no longer taken member by member. */
export type Given<T> = [T][T extends unknown ? 0 : never]
