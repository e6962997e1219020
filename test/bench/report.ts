// Puts the measures of all turns together: medians and ratios, as rows for JSON and as a table for people.
import type { Cell } from './arguments.ts'
import type { Measure } from './measure.ts'
import { isOurs, type PeerName } from './peers.ts'
import { bestOf, median, type Percentiles, ratio } from './statistics.ts'

/** The measures of each turn by peer, peers in their order. */
export type CellMeasures = { cell: Cell; peers: Map<PeerName, Measure[]> }

export type Row = {
  cell: string
  peer: PeerName
  messages: number
  rate: { median: number; least: number; most: number }
  /** Of which the cell has a share; null where it has not. */
  fullRate: number | null
  dotToReplyMs: Percentiles
  endToEndMs: Percentiles
  cpuMs: { [part: string]: number }
  peakMiB: number
  /** To Postfix alone, and to the best peer that scans and isn't us; null where there is none. */
  toPostfix: number | null
  toBest: number | null
  /** To us as we are. */
  toUs: number | null
  wrongs: string[]
}

const scans = (name: PeerName) => !isOurs(name) && name !== 'postfix' && name !== 'sink'
const rates = (measures: readonly Measure[] = []) => measures.map(measure => measure.rate)
const orNull = (value: number) => (Number.isFinite(value) ? value : null)

export function rowsOf({ cell, peers }: CellMeasures): Row[] {
  const postfix = rates(peers.get('postfix'))
  const us = rates(peers.get('sallyport'))
  const best = bestOf([...peers].filter(([name]) => scans(name)).map(([, m]) => rates(m)))
  return [...peers].map(([peer, measures]) => {
    const of = (pick: (measure: Measure) => number) => median(measures.map(pick))
    const three = (pick: (measure: Measure) => Percentiles): Percentiles => ({
      p50: of(m => pick(m).p50),
      p95: of(m => pick(m).p95),
      p99: of(m => pick(m).p99),
    })
    const all = rates(measures)
    const parts = Object.keys(measures[0]?.cpuMs ?? {})
    return {
      ...{ cell: cell.name, peer, messages: of(m => m.messages) },
      rate: { median: median(all), least: Math.min(...all), most: Math.max(...all) },
      fullRate: orNull(of(m => m.fullRate ?? Number.NaN)),
      dotToReplyMs: three(m => m.dotToReplyMs),
      endToEndMs: three(m => m.endToEndMs),
      cpuMs: Object.fromEntries(parts.map(part => [part, of(m => m.cpuMs[part] ?? Number.NaN)])),
      peakMiB: Math.max(...measures.map(m => m.peakMiB)),
      toPostfix: orNull(ratio(all, postfix)),
      toBest: orNull(ratio(all, best)),
      toUs: orNull(ratio(all, us)),
      wrongs: measures.flatMap((m, i) => m.wrongs.map(wrong => `turn ${i + 1}: ${wrong}`)),
    }
  })
}

/** Every single measure, in no order but that of cell, peer and turn. */
export const turnsOf = (all: readonly CellMeasures[]) =>
  all.flatMap(({ cell, peers }) =>
    [...peers].flatMap(([peer, measures]) =>
      measures.map((measure, turn) => ({ cell: cell.name, peer, turn: turn + 1, ...measure })),
    ),
  )

const HEADINGS = [
  ...['peer', 'msg/s', '(least-most)', '× postfix', '× best', '× us', 'dot 50/95/99 ms'],
  ...['end to end 50/95/99 ms', 'CPU ms: gateway', 'redis', 'filter', 'clamd', 'slapd'],
  ...['load+sink', 'peak MiB'],
]

/** Three digits, or more where there are more before the point. */
const short = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return '-'
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
const slashed = ({ p50, p95, p99 }: Percentiles) => [p50, p95, p99].map(short).join('/')

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ rate, cpuMs, ...row }) => [
    ...[row.peer, short(rate.median), `${short(rate.least)}-${short(rate.most)}`],
    ...[short(row.toPostfix), short(row.toBest), short(row.toUs)],
    ...[
      slashed(row.dotToReplyMs),
      slashed(row.endToEndMs),
      short(cpuMs.gateway),
      short(cpuMs.redis),
      short(cpuMs.filter),
    ],
    ...[short(cpuMs.clamd), short(cpuMs.slapd), short((cpuMs.load ?? 0) + (cpuMs.sink ?? 0))],
    short(row.peakMiB),
  ])
  const widths = HEADINGS.map((heading, i) =>
    Math.max(heading.length, ...lines.map(line => line[i]?.length ?? 0)),
  )
  const text = [HEADINGS, ...lines].map(line =>
    line
      .map((field, i) => (i === 0 ? field.padEnd(widths[i] ?? 0) : field.padStart(widths[i] ?? 0)))
      .join('  '),
  )
  const full = rows.flatMap(({ peer, fullRate }) =>
    fullRate === null ? [] : [`full rate of ${peer}: ${short(fullRate)} msg/s`],
  )
  const wrongs = rows.flatMap(row => row.wrongs.map(wrong => `WRONG ${row.peer}, ${wrong}`))
  return [...text, ...full, ...wrongs].join('\n')
}
