/**
 * A first-in, first-out queue in an array with a head index. `push()`, `at()` and `length` take constant time, and so
 * does `shift()` on average: `Array.prototype.shift()` moves all items behind the first, which is too slow for long
 * queues. The array has at most twice as many slots as the queue has items, and a slot of a removed item is empty.
 */
export class Fifo<Item extends object> {
  #slots: Array<Item | undefined> = []
  /** The index of the first item in `#slots`; the slots before it are empty. */
  #head = 0

  /** The number of items. */
  get length (): number {
    return this.#slots.length - this.#head
  }

  /**
   * The item at an index, which is 0 for the first, or `undefined` if there is no such item. An index below 0 falls on
   * an empty slot, or before the array.
   */
  at (index: number): Item | undefined {
    return this.#slots[this.#head + index]
  }

  push (item: Item): void {
    this.#slots.push(item)
  }

  /** Removes the first item and returns it, or `undefined` if the queue is empty. */
  shift (): Item | undefined {
    const item = this.#slots[this.#head]
    if (item === undefined) return undefined
    this.#slots[this.#head++] = undefined
    if (this.#head * 2 >= this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head)
      this.#head = 0
    }
    return item
  }
}
