// Everything one process needs to be observed, made together: log, journal, metrics, and the events that feed them.
import path from 'node:path'
import type { Events } from './events.ts'
import { createJournal, type Journal, type Owner } from './journal.ts'
import { createLog, type Level, type Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createEvents } from './tell.ts'

const LOST_TOLD_MS = 60_000

export type Observation = {
  log: Log
  journal: Journal
  metrics: Metrics
  events: Events
} & Disposable

/** Where the journal lies; the ledger reads it there. */
export const journalFolder = (state: string): string => path.join(state, 'journal')

/**
 * `role` is `primary`, `receive` or `work`. `instance` names one start of the gateway, and is the same in all its
 * processes: letters, digits, `-` and `_`. `owner` is whom the workers run as, where the primary runs as root.
 */
export function createObservation({
  role,
  state,
  instance,
  hostname,
  level,
  owner,
}: {
  role: string
  state: string
  instance: string
  hostname: string
  level: Level
  owner?: Owner | undefined
}): Observation {
  const log = createLog({ level, base: { hostname, role, pid: process.pid } })
  const metrics = createMetrics({ role })
  let told = 0
  const journal = createJournal({
    folder: journalFolder(state),
    instance,
    owner,
    onLost(error) {
      metrics.instruments.journalLost.inc()
      if (Date.now() - told < LOST_TOLD_MS) return
      told = Date.now()
      log.write('error', 'journalLost', { cause: String(error) })
    },
  })
  return {
    log,
    journal,
    metrics,
    events: createEvents({ log, journal, metrics }),
    [Symbol.dispose]() {
      journal[Symbol.dispose]()
      metrics[Symbol.dispose]()
      log[Symbol.dispose]()
    },
  }
}
