import createError from '@fastify/error'
import type { EventLog } from 'fastify-rxjs-sse'

/** What a room's log holds. */
export interface ChatMessage {
  readonly name: string
  readonly text: string
  /** When the server took it, in milliseconds since 1970. */
  readonly time: number
  /** Its sender's: whoever sends a message again, not knowing whether it arrived, gives it the same key. */
  readonly key: string
}

/** Where the rooms' logs come from. */
export interface Logs {
  readonly openLog: (room: string) => EventLog<ChatMessage>
  readonly close: () => Promise<void>
}

/** What each room's log holds, and that who enters reads it from its start. */
export const HISTORY = { maxEvents: 500, maxBytes: 1024 * 1024, from: 'start' } as const

const RoomsFull = createError<[limit: number]>(
  'CHAT_ROOMS_FULL', 'There are people in each of %s rooms, and there may not be more: try again later', 503)

interface Room {
  readonly log: EventLog<ChatMessage>
  people: number
}

/**
 * A log for each room, made when somebody first asks for it. Past the limit, the room that has been empty for longest
 * is forgotten: in memory that is its history too.
 */
export class Rooms {
  readonly #openLog: Logs['openLog']
  readonly #limit: number
  /** In the order in which they were last used. */
  readonly #rooms: Map<string, Room>

  constructor (openLog: Logs['openLog'], limit: number) {
    this.#openLog = openLog
    this.#limit = limit
    this.#rooms = new Map()
  }

  /** The room's log, which is kept at least until `signal` fires. */
  enter (name: string, signal: AbortSignal): EventLog<ChatMessage> {
    const room = this.#use(name)
    room.people++
    signal.addEventListener('abort', () => {
      room.people--
      this.#use(name)
    }, { once: true })
    return room.log
  }

  async append (name: string, message: ChatMessage): Promise<string> {
    return await this.#use(name).log.append({ data: message })
  }

  #use (name: string): Room {
    const room = this.#rooms.get(name) ?? this.#make(name)
    this.#rooms.delete(name)
    this.#rooms.set(name, room)
    return room
  }

  #make (name: string): Room {
    if (this.#rooms.size >= this.#limit) this.#forgetOne()
    return { log: this.#openLog(name), people: 0 }
  }

  #forgetOne (): void {
    for (const [name, { people }] of this.#rooms) {
      if (people === 0) {
        this.#rooms.delete(name)
        return
      }
    }
    throw new RoomsFull(this.#limit)
  }
}
