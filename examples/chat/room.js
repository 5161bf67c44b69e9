/** How long until a room is asked for again that was refused, in milliseconds: `EventSource` itself gives up. */
const PATIENCE = 5000

/** The stream of one room. */
export class Room {
  #name
  #listeners
  #source
  #lastEventId = ''
  #timer

  /** `state` is told `'live'`, `'reconnecting'` or `'refused'`; `server`, `message` and `gap` what comes. */
  constructor (name, listeners) {
    this.#name = name
    this.#listeners = listeners
    this.#open()
  }

  close () {
    clearTimeout(this.#timer)
    this.#source.close()
  }

  #open () {
    // A browser that reconnects by itself sends the last event id as a header; a new EventSource has to say it.
    const query = this.#lastEventId === '' ? '' : `?${new URLSearchParams({ lastEventId: this.#lastEventId })}`
    const { state, server, message, gap } = this.#listeners
    this.#source = new EventSource(`/rooms/${this.#name}/events${query}`)
    this.#source.addEventListener('open', () => state('live'))
    this.#source.addEventListener('error', () => {
      if (this.#source.readyState === EventSource.CONNECTING) return state('reconnecting')
      state('refused')
      this.#timer = setTimeout(() => this.#open(), PATIENCE)
    })
    this.#source.addEventListener('server', ({ data }) => server(data))
    this.#source.addEventListener('gap', () => gap())
    this.#source.addEventListener('message', ({ lastEventId, data }) => {
      this.#lastEventId = lastEventId
      message(JSON.parse(data))
    })
  }
}
