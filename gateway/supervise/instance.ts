// What every process of the gateway begins with: its log, its share of the journal, its metrics, its events.
import { hostname } from 'node:os'
import path from 'node:path'
import type { Config } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { createJournal } from '../observe/journal.ts'
import { createLog, type Log } from '../observe/log.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { createEvents } from '../observe/tell.ts'
import { tellLostLines } from '../observe/tell-around.ts'
import type { Account } from './messages.ts'

export type Observed = { log: Log; metrics: Metrics; events: Events } & Disposable

/** Names one start of the gateway. */
export const newInstance = (): string =>
  `${hostname().replace(/[^A-Za-z0-9-]/g, '-')}-${Date.now().toString(36)}-${process.pid}`

export const journalFolder = (config: Config): string => path.join(config.state, 'journal')

/** `owner`: whose the journal must be, where root writes it too. */
export function observe(config: Config, instance: string, role: string, owner?: Account): Observed {
  const log = createLog({
    level: config.log.level,
    base: { hostname: config.hostname, role, pid: process.pid, instance },
  })
  const metrics = createMetrics({ role })
  const journal = createJournal({
    folder: journalFolder(config),
    instance,
    onLost: tellLostLines({ log, metrics }),
    ...(owner ? { owner } : {}),
  })
  return {
    log,
    metrics,
    events: createEvents({ log, journal, metrics }),
    [Symbol.dispose]() {
      journal[Symbol.dispose]()
      metrics[Symbol.dispose]()
      log[Symbol.dispose]()
    },
  }
}
