// The events of relaying: attempts and their outcomes, retries, notifications.
import type { RelayOutcome } from '../outcome.ts'
import type { Events } from './events.ts'
import { RELAY_RESULTS } from './instruments.ts'
import type { Outlets } from './tell.ts'
import { shown } from './tell-receive.ts'

type RelayEvents = Pick<
  Events,
  'relayAttempted' | 'retryScheduled' | 'notificationQueued' | 'undeliverable'
>

const LOGGED_OUTCOMES = 10

export function tellRelay({ log, journal, metrics }: Outlets): RelayEvents {
  const to = metrics.instruments
  const seen = new Set<string>()

  const destinationOf = (nextHop: string) => {
    const destination = metrics.bounded('destination', nextHop)
    if (!seen.has(destination)) {
      seen.add(destination)
      for (const result of RELAY_RESULTS) to.relayOutcomes.inc({ destination, result }, 0)
    }
    return destination
  }

  return {
    relayAttempted({ id, nextHop, durationMs, outcomes }) {
      const all = outcomes.map(inShort)
      const line = { id, nextHop, durationMs }
      const count = outcomes.length
      const some = all.slice(0, LOGGED_OUTCOMES)
      log.write('info', 'relayAttempted', { ...line, outcomes: some, count })
      journal.write('relayAttempted', { ...line, outcomes: all })
      const destination = destinationOf(nextHop)
      to.relayAttempts.inc({ destination })
      to.relaySeconds.observe(durationMs / 1000)
      for (const { result } of all) to.relayOutcomes.inc({ destination, result })
    },
    retryScheduled(e) {
      const line = { ...e, dueAt: new Date(e.dueAt).toISOString() }
      log.write('info', 'retryScheduled', line)
      journal.write('retryScheduled', line)
      to.relayRetries.inc()
    },
    notificationQueued(e) {
      log.write('info', 'notificationQueued', e)
      journal.write('notificationQueued', e)
      to.notifications.inc()
    },
    undeliverable(e) {
      log.write('warn', 'undeliverable', e)
      journal.write('undeliverable', e)
      to.undeliverable.inc()
    },
  }
}

const inShort = ({ recipient, result, reply, uncertain }: RelayOutcome) => ({
  recipient,
  result: uncertain ? 'uncertain' : result,
  reply: shown(reply),
})
