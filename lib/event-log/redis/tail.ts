import { randomUUID } from 'node:crypto'
import type { EventLogLogger } from '../../../types/event-log.ts'
import { send, sendWithin } from './client.ts'
import type { RedisClient } from './client.ts'
import type { RawEntry, StreamsReply } from './entry.ts'
import { BEFORE_ALL, compareStreamIds } from './entry-id.ts'

/** A stream whose end is being read. */
export interface TailedStream {
  readonly key: string
  /** Entries after this one are missing. */
  readonly lastId: string
  /** Of so many entries, none is trimmed. */
  readonly maxEvents: number
  push (entries: readonly RawEntry[]): void
  /** What Redis had last may be gone: the connection was lost, or so much has come at once that Redis is full of it. */
  verify (connection: RedisClient, isFull: boolean): Promise<void>
}

/** How long one read waits, in milliseconds: a Redis that is gone without a word is noticed after that. */
const BLOCK = 5_000
const PATIENCE = BLOCK + 3_000

/** How many entries of each key one read takes. */
const COUNT = 1_000

/** Between attempts to reconnect, in milliseconds. */
const MIN_BACKOFF = 50
const MAX_BACKOFF = 2_000

/** How long Redis keeps the control key of a process that is gone, in milliseconds. */
const CONTROL_EXPIRY = 24 * 60 * 60 * 1000

/** The end of every stream that this process listens to, read by one connection of its own. */
export class RedisTail {
  static readonly #tails: WeakMap<RedisClient, RedisTail> = new WeakMap()
  readonly #client: RedisClient
  readonly #streams: Set<TailedStream>
  readonly #loggers: Set<EventLogLogger>
  /** An entry there ends a read that waits, so that a stream that was added or dropped counts at once. */
  readonly #controlKey: string
  #controlId: string
  #connection: RedisClient | null
  #isRunning: boolean
  #isReading: boolean
  #isInterrupted: boolean
  #failures: number

  /** All logs of one client share it. */
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
    this.#streams = new Set()
    this.#loggers = new Set()
    this.#controlKey = `fastify-rxjs-sse:${randomUUID()}`
    this.#controlId = BEFORE_ALL
    this.#connection = null
    this.#isRunning = false
    this.#isReading = false
    this.#isInterrupted = false
    this.#failures = 0
    // An error that nobody listens for would end the process. Each command is told it too.
    client.on('error', () => {})
    client.on('end', () => this.#disconnect())
  }

  /** Redis cannot be read, and the loggers have been told. */
  get isAway (): boolean {
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
    // An idle connection is kept, but does not keep the process.
    if (this.#streams.size === 0) this.#connection?.unref()
  }

  /** Reads as long as anybody listens. Never rejects. */
  async #run (): Promise<void> {
    this.#isRunning = true
    while (this.#streams.size > 0) {
      try {
        const connection = this.#connection
        if (connection?.isOpen !== true) {
          this.#connection = await this.#connect()
        } else {
          if (this.isAway) await this.#find(connection)
          await this.#read(connection, ['BLOCK', String(BLOCK)])
        }
      } catch (error) {
        await this.#lost(error)
      }
    }
    this.#isRunning = false
  }

  async #connect (): Promise<RedisClient> {
    if (!this.#client.isOpen) throw new Error('its client is closed')
    // A read that waits is silent for longer than a socket may be elsewhere.
    const socket = { ...this.#client.options?.socket, reconnectStrategy: false, socketTimeout: undefined }
    const connection = this.#client.duplicate({ socket })
    connection.on('error', () => {})
    const timer = setTimeout(() => connection.destroy(), PATIENCE)
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
        'XREAD', 'COUNT', String(COUNT), ...block, 'STREAMS', ...positions.keys(), ...positions.values()
      ], PATIENCE) as StreamsReply
    } finally {
      this.#isReading = false
    }
    for (const [key, entries] of reply ?? []) await this.#dispatch(connection, String(key), entries)
  }

  /** Where to read on, for each key: from the first that any of its streams is missing. */
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
      if (entries.length >= Math.min(COUNT, stream.maxEvents)) await stream.verify(connection, true)
      stream.push(entries)
    }
  }

  /** Has the read that waits come back, once. If that fails, so does the read, or it ends by itself. */
  #interrupt (): void {
    if (!this.#isReading || this.#isInterrupted) return
    this.#isInterrupted = true
    const failed = (): void => { this.#isInterrupted = false }
    send(this.#client, ['XADD', this.#controlKey, 'MAXLEN', '1', '*', 'wake', 'up']).catch(failed)
    send(this.#client, ['PEXPIRE', this.#controlKey, String(CONTROL_EXPIRY)]).catch(failed)
  }

  async #lost (error: unknown): Promise<void> {
    this.#disconnect()
    if (this.#streams.size === 0) return
    if (this.#failures++ === 0) {
      for (const logger of this.#loggers) {
        logger.warn({ err: error }, 'event logs cannot be read from Redis; their readers wait until it is back')
      }
    }
    const backoff = Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** (this.#failures - 1))
    // Not all processes at once.
    await new Promise((resolve) => { setTimeout(resolve, backoff * (0.5 + Math.random() / 2)).unref() })
  }

  #disconnect (): void {
    if (this.#connection?.isOpen === true) this.#connection.destroy()
    this.#connection = null
  }

  /** To be connected is not enough: it may not be allowed to read. */
  async #find (connection: RedisClient): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.verify(connection, false)))
    await this.#read(connection, [])
    this.#failures = 0
    for (const logger of this.#loggers) logger.info({}, 'event logs are read from Redis again')
  }
}
