const SECONDS = 30
/** How far behind the present the chart's right edge is, in milliseconds: the newest point comes in from outside. */
const BEHIND = 300
/** A line is broken where nothing arrived for that long, in milliseconds. */
const GAP = 1500

const calm = matchMedia('(prefers-reduced-motion: reduce)')

/** A line chart of what arrived lately. It glides, or steps once a second for those who want less motion. */
export class Chart {
  #format
  #floor
  #samples = []
  #paths = []
  #lines = create('g')
  #top = document.createElement('span')
  #drawnAt = -Infinity
  #frame = 0

  /** `keys` name the numbers of a sample to draw; `floor` is the least that the chart's height stands for. */
  constructor (figure, keys, { format, floor }) {
    this.#format = format
    this.#floor = floor
    for (const key of keys) {
      const area = create('path', { class: `area ${key}` })
      const line = create('path', { class: `line ${key}` })
      this.#lines.append(area, line)
      this.#paths.push({ key, area, line })
    }
    // Across, a unit is a tenth of a second, and 0 the present. Down, it is a hundredth of the height.
    const svg = create('svg', {
      viewBox: `${-10 * SECONDS} 0 ${10 * SECONDS} 100`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `Chart of ${keys.join(' and ')}, the last ${SECONDS} seconds`
    })
    svg.append(this.#lines)
    const plot = document.createElement('div')
    plot.className = 'plot'
    plot.append(svg, this.#top)
    figure.append(plot)
  }

  /** `now` is when the sample arrived, by the page's clock. */
  add (sample, now) {
    this.#samples.push({ ...sample, now })
    while (now - this.#samples[0].now > SECONDS * 1000 + 2 * BEHIND) this.#samples.shift()
    if (calm.matches && now - this.#drawnAt < 1000) return
    this.#draw(now)
    if (!calm.matches) this.#glide()
  }

  #draw (now) {
    const most = Math.max(...this.#paths.flatMap(({ key }) => this.#samples.map((sample) => sample[key])))
    const height = roundUp(Math.max(most * 1.1, this.#floor))
    const runs = this.#runs()
    const x = (sample) => ((sample.now - now) / 100).toFixed(1)
    for (const { key, area, line } of this.#paths) {
      const y = (sample) => (100 - 100 * sample[key] / height).toFixed(1)
      const lines = runs.map((run) => run.map((sample) => `${x(sample)} ${y(sample)}`).join('L'))
      const areas = lines.map((points, i) => `${x(runs[i][0])} 100L${points}L${x(runs[i].at(-1))} 100Z`)
      line.setAttribute('d', lines.map((points) => `M${points}`).join(''))
      area.setAttribute('d', areas.map((points) => `M${points}`).join(''))
    }
    this.#top.textContent = this.#format(height).replace('.0', '')
    this.#lines.removeAttribute('transform')
    this.#drawnAt = now
  }

  /** Moves what is drawn until the next sample is due. When none comes, the chart stands still. */
  #glide () {
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => {
      const passed = performance.now() - this.#drawnAt
      this.#lines.setAttribute('transform', `translate(${(BEHIND - passed) / 100} 0)`)
      if (passed < BEHIND) this.#glide()
    })
  }

  #runs () {
    const runs = []
    let last = -Infinity
    for (const sample of this.#samples) {
      if (sample.now - last > GAP) runs.push([])
      runs.at(-1).push(sample)
      last = sample.now
    }
    return runs
  }
}

/** The next number that reads well on an axis. */
function roundUp (value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * [1, 1.5, 2, 3, 5, 7.5, 10].find((step) => step * power >= value)
}

function create (name, attributes = {}) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}
