import type { AsyncResource } from 'node:async_hooks'

/** 5 000 heartbeats written in one tick block the process for a tenth of a second. */
const SLICE = 250

/**
 * When a member is due, by `performance.now()`: a time that is later each time it has been reached. `last` is when the
 * timer last fired, or was made.
 */
type DueAt<Member> = (member: Member, interval: number, last: number) => number

/** The timers of members with different intervals: one for each interval. */
export class SharedTimers<Member> {
  readonly #dueAt: DueAt<Member>
  readonly #onDue: (member: Member) => void
  readonly #precision: number
  readonly #context: AsyncResource
  readonly #timers: Map<number, SharedTimer<Member>>

  /**
   * Members that are due within `precision` (a part of the interval) of each other are taken together. The timers are
   * made in `context`, so that no request is kept by them or seen in another's turn.
   */
  constructor (
    dueAt: DueAt<Member>, onDue: (member: Member) => void, precision: number, context: AsyncResource
  ) {
    this.#dueAt = dueAt
    this.#onDue = onDue
    this.#precision = precision
    this.#context = context
    this.#timers = new Map()
  }

  add (member: Member, interval: number): void {
    let timer = this.#timers.get(interval)
    if (timer === undefined) {
      timer = new SharedTimer(
        (due, last) => this.#dueAt(due, interval, last), this.#onDue, interval * this.#precision, this.#context)
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

/** What one timer does for many members: each is called when it is due, and stays until it is taken out. */
class SharedTimer<Member> {
  readonly #dueAt: (member: Member, last: number) => number
  readonly #onDue: (member: Member) => void
  readonly #precision: number
  readonly #context: AsyncResource
  readonly #members: Set<Member>
  #timer: NodeJS.Timeout | null
  #firesAt: number
  #firedAt: number

  constructor (
    dueAt: (member: Member, last: number) => number, onDue: (member: Member) => void, precision: number,
    context: AsyncResource
  ) {
    this.#dueAt = dueAt
    this.#onDue = onDue
    this.#precision = precision
    this.#context = context
    this.#members = new Set()
    this.#timer = null
    this.#firesAt = Infinity
    this.#firedAt = performance.now()
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
    this.#timer = this.#context.runInAsyncScope(() => setTimeout(() => this.#tick(), delay).unref())
  }

  #disarm (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#firesAt = Infinity
  }

  #tick (): void {
    const now = performance.now()
    const due: Member[] = []
    let next = Infinity
    for (const member of this.#members) {
      const dueAt = this.#dueAt(member, this.#firedAt)
      // A timer's clock has whole milliseconds.
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
    for (const member of due.slice(start, end)) {
      if (this.#members.has(member)) this.#onDue(member)
    }
    if (end < due.length) setImmediate(() => this.#callSlice(due, end))
  }
}
