/** As many as a room's log holds. */
const LIMIT = 500
/** How far from its end a list may be scrolled and still follow what comes, in pixels. */
const NEAR = 48
/** History is over when nothing has come for so long, in milliseconds: it is not read out. */
const QUIET = 300

/** The messages of one room, the newest at the end. Text goes in as text, and never as HTML. */
export class Messages {
  #log
  #list
  #empty
  #newest
  #isMine
  #keys = new Map()
  #follows = true
  #frame = 0
  #quiet

  constructor (log, newest, isMine) {
    this.#log = log
    this.#list = log.querySelector('ol')
    this.#empty = log.querySelector('p')
    this.#newest = newest
    this.#isMine = isMine
    log.addEventListener('scroll', () => {
      this.#follows = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR
      if (this.#follows) newest.hidden = true
    })
    newest.addEventListener('click', () => this.scrollToEnd())
    new ResizeObserver(() => { if (this.#follows) this.scrollToEnd() }).observe(log)
  }

  clear () {
    this.#list.replaceChildren()
    this.#keys.clear()
    this.#empty.hidden = false
    this.#log.ariaBusy = 'true'
    this.#calm()
    this.scrollToEnd()
  }

  /** A message that was sent twice, as nobody knew whether it had arrived, is shown once. */
  add ({ name, text, time, key }) {
    if (this.#keys.has(key)) return
    const item = create('li', { className: this.#isMine(key) ? 'message mine' : 'message' })
    item.style.setProperty('--hue', hueOf(name))
    const date = new Date(time)
    item.append(
      create('b', { className: 'name', textContent: name, dir: 'auto' }),
      create('time', { dateTime: date.toISOString(), title: date.toLocaleString(), textContent: show(date) }),
      create('p', { textContent: text, dir: 'auto' })
    )
    this.#keys.set(key, item)
    this.#append(item)
    if (this.#keys.size > LIMIT) {
      const [[oldest, first]] = this.#keys
      first.remove()
      this.#keys.delete(oldest)
    }
  }

  /** A line about the messages. */
  note (kind, text) {
    this.#append(create('li', { className: `note ${kind}`, textContent: text }))
    const notes = this.#list.querySelectorAll('.note')
    if (notes.length > LIMIT) notes[0].remove()
  }

  scrollToEnd () {
    this.#follows = true
    this.#newest.hidden = true
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => this.#log.scrollTo(0, this.#log.scrollHeight))
  }

  #append (item) {
    this.#empty.hidden = true
    this.#list.append(item)
    if (this.#log.ariaBusy === 'true') this.#calm()
    if (this.#follows) this.scrollToEnd()
    else this.#newest.hidden = false
  }

  #calm () {
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => { this.#log.ariaBusy = 'false' }, QUIET)
  }
}

function create (name, properties) {
  return Object.assign(document.createElement(name), properties)
}

/** The time, and the day where it is another. */
function show (date) {
  const isToday = date.toDateString() === new Date().toDateString()
  return date.toLocaleString([], {
    ...isToday ? {} : { day: 'numeric', month: 'short' }, hour: '2-digit', minute: '2-digit'
  })
}

/** A colour for each name, always the same. */
function hueOf (name) {
  let hash = 0
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360
  return hash
}
