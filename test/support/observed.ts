// Events of the real kind, with a log that is kept in memory and a journal in a folder, for tests to look at.

import type { Events } from '../../gateway/observe/events.ts'
import { createJournal } from '../../gateway/observe/journal.ts'
import type { Level, Log } from '../../gateway/observe/log.ts'
import { createMetrics, type Metrics } from '../../gateway/observe/metrics.ts'
import { createEvents } from '../../gateway/observe/tell.ts'

export type LogLine = { level: Level; event: string; detail: Record<string, unknown> }
export type Observed = { events: Events; metrics: Metrics; lines: LogLine[] } & Disposable

/** `folder` is the journal's, `instance` the name of the start it belongs to. */
export function observe(folder: string, instance = 'test'): Observed {
  const lines: LogLine[] = []
  const log: Log = {
    write: (level, event, detail) => void lines.push({ level, event, detail }),
    flush: () => undefined,
    [Symbol.dispose]: () => undefined,
  }
  const metrics = createMetrics({ role: 'test' })
  const journal = createJournal({ folder, instance })
  return {
    events: createEvents({ log, journal, metrics }),
    metrics,
    lines,
    [Symbol.dispose]() {
      journal[Symbol.dispose]()
      metrics[Symbol.dispose]()
    },
  }
}
