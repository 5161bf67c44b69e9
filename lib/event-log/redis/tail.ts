import { randomUUID } from 'node:crypto'
import type { EventLogLogger } from '../../../types/event-log.ts'
import { callEach } from '../../isolate.ts'
import { send, sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import type { RawEntry, StreamsReply } from './entry.ts'
import { BEFORE_ALL, compareStreamIds } from './entry-id.ts'

/** A stream whose new entries are read. */
export interface TailedStream {
  readonly key: string
  /** The id of the newest entry that the stream was given. Entries after it are to be read. */
  readonly lastId: string
  /** The number of entries up to which Redis trims none. */
  readonly maxEvents: number
  /** Adds entries that were read. Those up to `lastId` are passed over. */
  push (entries: readonly RawEntry[]): void
  /**
   * Finds out whether entries that came after `lastId` were trimmed before they could be read, and starts anew if so.
   * It is called after the connection was lost, and, with `isFull`, when a reply had as many entries as it may have, or
   * as the stream holds. Rejects if Redis cannot be asked.
   */
  checkContinuity (connection: RedisClient, isFull: boolean): Promise<void>
}

/** The time for which one `XREAD` waits for entries, in milliseconds. */
const BLOCK_TIMEOUT = 5_000

/** The longest time for a reply, in milliseconds: without one, the connection is taken for dead. */
const REPLY_TIMEOUT = BLOCK_TIMEOUT + 3_000

/** The number of entries that one `XREAD` returns of each key. */
const MAX_COUNT = 1_000

/** The shortest and the longest delay before a reconnection, in milliseconds. */
const MIN_BACKOFF = 50
const MAX_BACKOFF = 2_000

/** The time after which Redis deletes the control key of a process that has ended, in milliseconds. */
const CONTROL_EXPIRY = 24 * 60 * 60 * 1000

/**
 * Reads the new entries of all streams of one client, by `XREAD` on a connection of its own. The connection is opened
 * for the first stream. Without streams it stays open, but does not keep the process alive, and it is closed when the
 * client is.
 */
export class RedisTail {
  static readonly #tails: WeakMap<RedisClient, RedisTail> = new WeakMap()
  readonly #client: RedisClient
  readonly #streams = new Set<TailedStream>()
  readonly #loggers = new Set<EventLogLogger>()
  /** A key that is read with those of the streams. An entry added to it ends an `XREAD` that waits. */
  readonly #controlKey = `fastify-rxjs-sse:${randomUUID()}`
  #controlId = BEFORE_ALL
  #connection: RedisClient | null = null
  #isRunning = false
  #isReading = false
  /** Whether an entry was added to the control key since the read began. */
  #isInterrupted = false
  /** The number of failures since the last successful read. */
  #failures = 0

  /** Returns the tail that all logs of one client share. */
  static of (client: RedisClient): RedisTail {
    let tail = RedisTail.#tails.get(client)
    if (tail === undefined) {
      tail = new RedisTail(client)
      RedisTail.#tails.set(client, tail)
    }
    return tail
  }

  constructor (client: RedisClient) {
    this.#client = client
    // An `error` event without a listener would end the process. The pending commands reject with the error, too.
    client.on('error', () => {})
    client.on('end', () => this.#disconnect())
  }

  /** Whether reads fail at present. If so, that was logged to all loggers. */
  get isUnreadable (): boolean {
    return this.#failures > 0
  }

  addLogger (logger: EventLogLogger): void {
    this.#loggers.add(logger)
  }

  add (stream: TailedStream): void {
    this.#streams.add(stream)
    this.#connection?.ref()
    this.#interrupt()
    if (!this.#isRunning) void this.#run()
  }

  delete (stream: TailedStream): void {
    if (!this.#streams.delete(stream)) return
    this.#interrupt()
    if (this.#streams.size === 0) this.#connection?.unref()
  }

  /** Reads while there are streams. Never rejects. */
  async #run (): Promise<void> {
    this.#isRunning = true
    while (this.#streams.size > 0) {
      try {
        const connection = this.#connection
        if (connection?.isOpen !== true) {
          this.#connection = await this.#connect()
        } else {
          if (this.isUnreadable) await this.#recover(connection)
          await this.#read(connection, ['BLOCK', String(BLOCK_TIMEOUT)])
        }
      } catch (error) {
        await this.#onReadError(error)
      }
    }
    this.#isRunning = false
  }

  async #connect (): Promise<RedisClient> {
    if (!this.#client.isOpen) throw new Error('its client is closed')
    // The user's `socketTimeout` would end a read that waits for longer than it allows.
    const socket = { ...this.#client.options?.socket, reconnectStrategy: false, socketTimeout: undefined }
    const connection = this.#client.duplicate({ socket })
    connection.on('error', () => {})
    const timer = setTimeout(() => connection.destroy(), REPLY_TIMEOUT)
    try {
      await connection.connect()
      if (!this.#client.isOpen) throw new Error('its client was closed')
    } catch (error) {
      if (connection.isOpen) connection.destroy()
      throw error
    } finally {
      clearTimeout(timer)
    }
    if (this.#streams.size === 0) connection.unref()
    return connection
  }

  async #read (connection: RedisClient, block: readonly string[]): Promise<void> {
    const positions = this.#positions()
    this.#isInterrupted = false
    this.#isReading = true
    let reply: StreamsReply
    try {
      reply = await sendWithin(connection, [
        'XREAD', 'COUNT', String(MAX_COUNT), ...block, 'STREAMS', ...positions.keys(), ...positions.values()
      ], REPLY_TIMEOUT) as StreamsReply
    } finally {
      this.#isReading = false
    }
    for (const [key, entries] of reply ?? []) await this.#dispatch(connection, String(key), entries)
  }

  /** The id after which each key is read: the lowest `lastId` of the streams with that key. */
  #positions (): Map<string, string> {
    const positions = new Map([[this.#controlKey, this.#controlId]])
    for (const { key, lastId } of this.#streams) {
      const other = positions.get(key)
      if (other === undefined || compareStreamIds(lastId, other) < 0) positions.set(key, lastId)
    }
    return positions
  }

  async #dispatch (connection: RedisClient, key: string, entries: readonly RawEntry[]): Promise<void> {
    if (key === this.#controlKey) {
      for (const [id] of entries) this.#controlId = String(id)
      return
    }
    for (const stream of this.#streams) {
      if (stream.key !== key) continue
      if (entries.length >= Math.min(MAX_COUNT, stream.maxEvents)) await stream.checkContinuity(connection, true)
      stream.push(entries)
    }
  }

  /**
   * Ends the read that waits, so that the next one has the streams as they are now. If the commands fail, the read ends
   * by its own timeout.
   */
  #interrupt (): void {
    if (!this.#isReading || this.#isInterrupted) return
    this.#isInterrupted = true
    const onError = (): void => { this.#isInterrupted = false }
    send(this.#client, ['XADD', this.#controlKey, 'MAXLEN', '1', '*', 'wake', 'up']).catch(onError)
    send(this.#client, ['PEXPIRE', this.#controlKey, String(CONTROL_EXPIRY)]).catch(onError)
  }

  /** Closes the connection, logs the first of several failures, and waits before the next attempt. */
  async #onReadError (error: unknown): Promise<void> {
    this.#disconnect()
    if (this.#streams.size === 0) return
    if (this.#failures++ === 0) {
      const message = 'event logs cannot be read from Redis; their readers wait until it is back'
      callEach(this.#loggers, (logger) => logger.warn({ err: error }, message))
    }
    const backoff = Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** (this.#failures - 1))
    // The delay is random, so that the processes do not all reconnect at once.
    await new Promise((resolve) => { setTimeout(resolve, backoff * (0.5 + Math.random() / 2)).unref() })
  }

  #disconnect (): void {
    if (this.#connection?.isOpen === true) this.#connection.destroy()
    this.#connection = null
  }

  /** Checks each stream on a new connection, and logs the recovery once a read has succeeded: it may be forbidden. */
  async #recover (connection: RedisClient): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.checkContinuity(connection, false)))
    await this.#read(connection, [])
    this.#failures = 0
    callEach(this.#loggers, (logger) => logger.info({}, 'event logs are read from Redis again'))
  }
}
