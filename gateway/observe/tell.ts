// Makes the events: each becomes a log line, a journal line where it concerns a message, and metrics.
import type { Events } from './events.ts'
import type { Journal } from './journal.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { tellAround } from './tell-around.ts'
import { tellReceive } from './tell-receive.ts'
import { tellRelay } from './tell-relay.ts'
import { tellScan } from './tell-scan.ts'

/** Where events come out. */
export type Outlets = { log: Log; journal: Journal; metrics: Metrics }

/** No event throws or waits: whoever tells one goes on with the mail. What goes wrong in telling is itself logged. */
export function createEvents(outlets: Outlets): Events {
  const events: Events = {
    ...tellReceive(outlets),
    ...tellScan(outlets),
    ...tellRelay(outlets),
    ...tellAround(outlets),
  }
  const guarded = Object.entries(events).map(([name, tell]) => [
    name,
    (detail: never) => {
      try {
        tell(detail)
      } catch (error) {
        outlets.log.write('error', 'notTold', { of: name, cause: String(error) })
      }
    },
  ])
  return Object.fromEntries(guarded)
}
