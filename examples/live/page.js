import { Chart } from './chart.js'

const log = document.getElementById('log')
const streams = document.getElementById('streams')

/** Connects a panel to its route: its state, last event id, count and button. */
function connect (name, type, receive) {
  const panel = document.getElementById(name)
  const [state, button, id, count] = ['.state b', 'button', '.id', '.count'].map((part) => panel.querySelector(part))
  let source
  let lastEventId = ''
  let events = 0

  function open () {
    // A browser that reconnects by itself sends the last event id as a header; a new EventSource has to say it.
    source = new EventSource(`/${name}?${lastEventId === '' ? '' : new URLSearchParams({ lastEventId })}`)
    source.addEventListener('open', showState)
    source.addEventListener('error', showState)
    source.addEventListener(type, (event) => {
      lastEventId = event.lastEventId
      id.textContent = lastEventId
      count.textContent = String(++events)
      receive(event)
    })
    showState()
  }

  function showState () {
    const text = ['connecting', 'open', 'closed'][source.readyState]
    panel.dataset.state = text
    // Written only when it changes: a screen reader says it each time.
    if (state.textContent !== text) state.textContent = text
    button.firstChild.textContent = text === 'closed' ? 'Reopen' : 'Close'
    if (name === 'vitals' && text !== 'open') streams.textContent = '–'
  }

  button.addEventListener('click', () => {
    if (source.readyState === EventSource.CLOSED) {
      open()
    } else {
      source.close()
      showState()
    }
  })
  open()
}

connect('ticks', 'message', ({ lastEventId, data }) => {
  const row = document.createElement('li')
  for (const text of [lastEventId, data, new Date().toLocaleTimeString()]) {
    row.append(Object.assign(document.createElement('span'), { textContent: text }))
  }
  log.prepend(row)
  if (log.children.length > 24) log.lastChild.remove()
})

const percent = (value) => `${value.toFixed(value < 10 ? 1 : 0)} %`
const megabytes = (value) => `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB`
const milliseconds = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`

const formats = { cpu: percent, rss: megabytes, heap: megabytes, lag: milliseconds }
const charts = [
  new Chart(document.querySelector('[data-chart=cpu]'), ['cpu'], { format: percent, floor: 5 }),
  new Chart(document.querySelector('[data-chart=memory]'), ['rss', 'heap'], { format: megabytes, floor: 1e7 }),
  new Chart(document.querySelector('[data-chart=lag]'), ['lag'], { format: milliseconds, floor: 2 })
]
const values = Object.keys(formats).map((name) => [name, document.querySelector(`[data-value=${name}]`)])

connect('vitals', 'vitals', ({ data, timeStamp }) => {
  const sample = JSON.parse(data)
  streams.textContent = sample.streams
  for (const [name, output] of values) output.textContent = formats[name](sample[name])
  for (const chart of charts) chart.add(sample, timeStamp)
})
