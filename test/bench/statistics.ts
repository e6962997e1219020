// Medians, percentiles and ratios: the little arithmetic a measurement needs.

/** NaN where there are no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

export type Percentiles = { p50: number; p95: number; p99: number }

/** By the nearest rank: always one of the values; NaN where there are none. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

/**
 * The median of the ratios of values measured one after the other: noise that lasts longer than a turn
 * touches both sides of a ratio. NaN where either side has none.
 */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  const ratios = ours.flatMap((value, i) => {
    const other = theirs[i]
    return other === undefined || other === 0 ? [] : [value / other]
  })
  return median(ratios)
}

/** The greatest of the values in each turn: the best peer may be another one each time. */
export function bestOf(series: readonly (readonly number[])[]): number[] {
  const turns = Math.max(0, ...series.map(one => one.length))
  return Array.from({ length: turns }, (_, turn) =>
    Math.max(...series.flatMap(one => one[turn] ?? [])),
  )
}
