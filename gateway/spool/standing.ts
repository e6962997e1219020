// Reads from the outcome log what may be said to the client now. Pure.
import type { Envelope } from '../message.ts'
import type { Ends } from '../observe/events.ts'
import type { Reply } from '../reply.ts'
import { reply } from '../reply.ts'
import type { End, LogState } from './outcome-log.ts'

export type Standing =
  /** Somebody's outcome is not known yet. */
  | { kind: 'open' }
  /** Every recipient is relayed, quarantined or discarded: 250, and nothing is left to do. */
  | { kind: 'done'; ends: Ends }
  /** Every recipient was refused for good: the next hop's own code. */
  | { kind: 'refused'; reply: Reply }
  /** Nothing is settled and the domains concerned want the client to come again. */
  | { kind: 'tempfail'; reply: Reply }
  /** Something is left to do, and it is ours to do: 250 once it is in custody. */
  | { kind: 'custody' }

const TRY_AGAIN = reply(451, '4.4.0', 'The destination cannot take this message now, try again')

/** `wantsTempfail` answers for a recipient's domain (`deferred: tempfail` in the configuration). */
export function standingOf(
  envelope: Envelope,
  log: LogState,
  wantsTempfail: (domain: string) => boolean,
): Standing {
  const ends = endsOf(envelope, log)
  const settled = ends.relayed + ends.quarantined + ends.discarded + ends.notified
  let refusal: Reply | undefined
  let deferral: Reply | undefined
  let mayTempfail = settled === 0
  let refused = 0
  for (const { address, domain } of envelope.recipients) {
    const end = log.ends.get(address)
    const deferred = log.deferred.get(address)
    if (!end && !deferred) return { kind: 'open' }
    if (end?.end === 'refused') {
      refused++
      refusal ??= end.reply
    } else if (deferred) {
      deferral ??= deferred.reply ?? TRY_AGAIN
      mayTempfail &&= wantsTempfail(domain)
    }
  }
  if (settled === envelope.recipients.length) return { kind: 'done', ends }
  if (refused === envelope.recipients.length && refusal) return { kind: 'refused', reply: refusal }
  if (deferral && mayTempfail) return { kind: 'tempfail', reply: deferral }
  return { kind: 'custody' }
}

/** Who has it, or was spared it: saying 4xx or 5xx would be a lie to them. */
export const settledIn = (log: LogState): string[] =>
  [...log.ends.values()].filter(line => line.end !== 'refused').map(line => line.recipient)

/** How many of the envelope's recipients came to which end. */
export function endsOf(envelope: Envelope, log: Pick<LogState, 'ends'>): Ends {
  const count = (end: End) =>
    envelope.recipients.filter(r => log.ends.get(r.address)?.end === end).length
  return {
    relayed: count('relayed'),
    quarantined: count('quarantined'),
    discarded: count('discarded'),
    notified: count('notified'),
  }
}
