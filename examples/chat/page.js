import { Messages } from './messages.js'
import { Room } from './room.js'
import { createKey, send } from './send.js'

const ROOMS = ['lobby', 'garden', 'workshop']
const ROOM = /^[a-z0-9][a-z0-9-]{0,31}$/

const [title, connection, state, server, rooms, go, other, composer, name, text, trouble] =
  ['room', 'connection', 'state', 'server', 'rooms', 'go', 'other', 'composer', 'name', 'text', 'trouble']
    .map((id) => document.getElementById(id))

/** The keys of what was sent from this tab: they outlive a reload. */
const mine = new Set(JSON.parse(sessionStorage.getItem('mine') ?? '[]'))
const messages = new Messages(
  document.getElementById('messages'), document.getElementById('newest'), (key) => mine.has(key))

const visited = new Set(ROOMS)
let room = null
/** The key of what is being written, so that sending it again does not say it twice. */
let draft = null

function enter () {
  const hash = location.hash.slice(1)
  const current = ROOM.test(hash) ? hash : ROOMS[0]
  visited.add(current)
  showRooms(current)
  title.textContent = current
  document.title = `#${current} · Chat`
  messages.clear()
  room?.close()
  showState('connecting')
  let lastPid = null
  room = new Room(current, {
    state: showState,
    server (pid) {
      server.textContent = `process ${pid}`
      if (lastPid !== null && pid !== lastPid) messages.note('server', `Process ${pid} serves this page now.`)
      lastPid = pid
    },
    message: (message) => messages.add(message),
    gap: () => messages.note('gap', 'Messages are missing here: the server does not hold them any more.')
  })
  return current
}

function showState (text) {
  connection.dataset.state = text
  // Written only when it changes: a screen reader says it each time.
  if (state.textContent !== text) state.textContent = text
  if (text !== 'live') server.textContent = ''
}

function showRooms (current) {
  rooms.replaceChildren(...Array.from(visited, (room) => {
    const link = Object.assign(document.createElement('a'), { href: `#${room}`, textContent: room })
    if (room === current) link.ariaCurrent = 'page'
    const item = document.createElement('li')
    item.append(link)
    return item
  }))
  rooms.querySelector('[aria-current]').scrollIntoView({ block: 'nearest', inline: 'nearest' })
}

async function submit () {
  const message = { name: name.value.trim(), text: text.value.trim() }
  if (message.name === '' || message.text === '' || composer.ariaBusy === 'true') return
  draft ??= createKey()
  mine.add(draft)
  sessionStorage.setItem('mine', JSON.stringify([...mine].slice(-500)))
  composer.ariaBusy = 'true'
  text.readOnly = true
  try {
    await send(title.textContent, { ...message, key: draft }, () => { trouble.textContent = 'Not sent yet: trying again …' })
    draft = null
    text.value = ''
    trouble.textContent = ''
    messages.scrollToEnd()
  } catch ({ message: reason }) {
    trouble.textContent = `Not sent: ${reason}.`
  }
  composer.ariaBusy = 'false'
  text.readOnly = false
}

composer.addEventListener('submit', (event) => {
  event.preventDefault()
  void submit()
})
text.addEventListener('input', () => { draft = null })
text.addEventListener('keydown', (event) => {
  // A key that ends the composition of a character sends nothing.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  composer.requestSubmit()
})
go.addEventListener('submit', (event) => {
  event.preventDefault()
  location.hash = other.value
  go.reset()
})
name.value = localStorage.getItem('name') ?? `guest-${createKey().slice(0, 4)}`
name.addEventListener('change', () => localStorage.setItem('name', name.value))
addEventListener('hashchange', enter)
enter()
