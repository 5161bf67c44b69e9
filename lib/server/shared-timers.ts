import type { AsyncResource } from 'node:async_hooks'
import { callEach } from '../isolate.ts'

/** How many members are called before the event loop gets to other work: 5 000 heartbeats at once take 100 ms. */
const SLICE = 250

/**
 * Gives the time at which a member is due, by `performance.now()`: a later one each time that it has been reached.
 * `last` is the time at which the timer fired last, or was made.
 */
type DueAt<Member> = (member: Member, interval: number, last: number) => number

/** What is done with a member that is due, and with what that throws. */
export interface DueActions<Member> {
  call (member: Member): void
  fail (member: Member, error: unknown): void
}

/** The timers of many members: one for each interval. */
export class SharedTimers<Member> {
  readonly #dueAt: DueAt<Member>
  readonly #actions: DueActions<Member>
  readonly #precision: number
  readonly #context: AsyncResource
  readonly #timers: Map<number, SharedTimer<Member>> = new Map()

  /**
   * `precision` is a part of the interval: members that are due within it of each other are called together. The timers
   * are made in `context`, so that none of them keeps the context of a request, or calls another request's stream in
   * it.
   */
  constructor (
    dueAt: DueAt<Member>, actions: DueActions<Member>, precision: number, context: AsyncResource
  ) {
    this.#dueAt = dueAt
    this.#actions = actions
    this.#precision = precision
    this.#context = context
  }

  /** Calls a member whenever it is due, until it is deleted. `interval` is in milliseconds. */
  add (member: Member, interval: number): void {
    let timer = this.#timers.get(interval)
    if (timer === undefined) {
      timer = new SharedTimer(
        (due, last) => this.#dueAt(due, interval, last), this.#actions, interval * this.#precision, this.#context)
      this.#timers.set(interval, timer)
    }
    timer.add(member)
  }

  delete (member: Member, interval: number): void {
    const timer = this.#timers.get(interval)
    timer?.delete(member)
    if (timer?.size === 0) this.#timers.delete(interval)
  }
}

/** The timer of the members of one interval. All times are in milliseconds, by `performance.now()`. */
class SharedTimer<Member> {
  readonly #dueAt: (member: Member, last: number) => number
  readonly #actions: DueActions<Member>
  readonly #precision: number
  readonly #context: AsyncResource
  readonly #members: Set<Member> = new Set()
  #timer: NodeJS.Timeout | null = null
  /** The time at which the timer will fire; `Infinity` if it is not armed. */
  #firesAt = Infinity
  /** The time at which the timer fired last, or was made. */
  #firedAt = performance.now()

  constructor (
    dueAt: (member: Member, last: number) => number, actions: DueActions<Member>, precision: number,
    context: AsyncResource
  ) {
    this.#dueAt = dueAt
    this.#actions = actions
    this.#precision = precision
    this.#context = context
  }

  get size (): number {
    return this.#members.size
  }

  add (member: Member): void {
    this.#members.add(member)
    const dueAt = this.#dueAt(member, this.#firedAt)
    if (dueAt < this.#firesAt) this.#arm(dueAt)
  }

  delete (member: Member): void {
    this.#members.delete(member)
    if (this.#members.size === 0) this.#disarm()
  }

  #arm (at: number): void {
    this.#disarm()
    this.#firesAt = at
    const delay = Math.max(1, Math.ceil(at - performance.now()))
    this.#timer = this.#context.runInAsyncScope(() => setTimeout(() => this.#fire(), delay).unref())
  }

  #disarm (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#firesAt = Infinity
  }

  #fire (): void {
    const now = performance.now()
    const due: Member[] = []
    let next = Infinity
    for (const member of this.#members) {
      const dueAt = this.#dueAt(member, this.#firedAt)
      // Timers have whole milliseconds: one may fire a fraction too early.
      if (dueAt - now < 1) due.push(member)
      else if (dueAt < next) next = dueAt
    }
    this.#disarm()
    this.#firedAt = now
    this.#callSlice(due, 0)
    for (const member of due) {
      if (this.#members.has(member)) next = Math.min(next, this.#dueAt(member, this.#firedAt))
    }
    const firesAt = Math.max(next, now + this.#precision)
    if (firesAt < this.#firesAt) this.#arm(firesAt)
  }

  #callSlice (due: Member[], start: number): void {
    const end = Math.min(start + SLICE, due.length)
    const { call, fail } = this.#actions
    callEach(due.slice(start, end), (member) => { if (this.#members.has(member)) call(member) }, fail)
    if (end < due.length) setImmediate(() => this.#callSlice(due, end))
  }
}
