// One process's metrics: the instruments, what collects before a look at them, and labels kept to bounded sets.
import { type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'
import { createInstruments, type Instruments } from './instruments.ts'
import { watchProcess } from './process-metrics.ts'

/** A collector that takes longer is left behind: the gauges keep their last values. */
const COLLECT_TIMEOUT_MS = 500
/** Distinct values of one label whose set the code can't know; the rest become `other`. */
const LABEL_VALUES = 100

/** What prom-client calls a metric as JSON; travels between processes. */
export type Snapshot = MetricObjectWithValues<MetricValue<string>>[]

export type Metrics = {
  registry: Registry
  instruments: Instruments
  /** Runs before every look at the metrics of this process, to set gauges. May reject or hang: a scrape doesn't. */
  onCollect(collector: () => void | Promise<void>): void
  /** The values now. Settles within 500 ms, whatever the collectors do. */
  snapshot(): Promise<Snapshot>
  /** The value itself, or `other` once `family` has 100 distinct ones. */
  bounded(family: string, value: string): string
} & Disposable

/** `role` labels the process's own memory, CPU and event loop: `primary`, `receive`, `work`. */
export function createMetrics({ role }: { role: string }): Metrics {
  const registry = new Registry()
  const instruments = createInstruments(registry)
  const collectors: (() => void | Promise<void>)[] = []
  const families = new Map<string, Set<string>>()
  const ownProcess = watchProcess(registry, role)
  collectors.push(ownProcess.collect)
  return {
    registry,
    instruments,
    onCollect: collector => void collectors.push(collector),
    async snapshot() {
      await Promise.all(collectors.map(withinTimeout))
      return (await registry.getMetricsAsJSON()) as Snapshot
    },
    bounded(family, value) {
      const seen = families.get(family) ?? new Set()
      families.set(family, seen)
      if (seen.has(value)) return value
      if (seen.size >= LABEL_VALUES) return 'other'
      seen.add(value)
      return value
    },
    [Symbol.dispose]: ownProcess[Symbol.dispose],
  }
}

function withinTimeout(collector: () => void | Promise<void>): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, COLLECT_TIMEOUT_MS)
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    Promise.try(collector).then(done, done)
  })
}
