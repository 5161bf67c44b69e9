import { REFERENCES, titleOf } from './contestants.mjs'
import { intervalOfMedian, median } from './statistics.mjs'

/**
 * A table of medians in Markdown, each number with its ratios. `rounds` has, for each round, the metrics of each
 * contestant.
 */
export function formatTable ({ metrics, references: own = REFERENCES }, rounds, contestants) {
  const references = own.filter((name) => contestants.includes(name))
  const head = ['', ...metrics.flatMap(({ title }) => [title, ...references.map((name) => `× ${titleOf(name)}`)])]
  const rows = contestants.map((name) => [
    titleOf(name),
    ...metrics.flatMap(({ key, digits }) => [
      median(rounds.map((round) => round[name][key])).toFixed(digits),
      ...references.map((reference) => ratio(rounds, key, name, reference).toFixed(2))
    ])
  ])
  const rule = head.map((_title, column) => column === 0 ? '---' : '---:')
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** How this plugin compares with what it was before, one line for each metric. */
export function formatBefore ({ metrics }, rounds, ours) {
  return metrics.map(({ key, title }) => {
    const ratios = rounds.map((round) => round[ours][key] / round.before[key])
    const interval = intervalOfMedian(ratios, 0.9)
    const range = interval === null ? 'too few rounds for an interval' : `90 % interval ${interval.map((end) => end.toFixed(3)).join(' to ')}`
    return `- ${title}: ${median(ratios).toFixed(3)} × before, ${range} (${rounds.length} rounds)`
  }).join('\n')
}

/** The median of the ratios within each round: what disturbs the machine disturbs both. */
export function ratio (rounds, key, name, reference) {
  return median(rounds.map((round) => round[name][key] / round[reference][key]))
}
