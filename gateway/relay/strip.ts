// Before a message goes out with parts cut out of it, the whole of it lies durably in the quarantine.
import type { Cut } from '../../policies/policy.ts'
import { noticesFor, type Replacement } from './cuts.ts'
import type { Run } from './relay.ts'

/**
 * Answers what is to be sent instead of the parts; nothing where there are none. Rejects where the message can't be
 * kept: then nothing may be sent. A later attempt, and one after a crash, keeps no second copy.
 */
export async function keepWhole(run: Run, cuts: readonly Cut[]): Promise<Replacement[]> {
  if (cuts.length === 0) return []
  const { options, envelope, content, plan } = run
  const { hostname, postmaster } = options.config()
  const same = JSON.stringify(cuts)
  const planned = plan.recipients.filter(each => JSON.stringify(each.cuts) === same)
  // All of them, also those who have it already: so its name in the quarantine stays the same.
  const whose = new Set(planned.map(each => each.recipient))
  const recipients = envelope.recipients.filter(({ address }) => whose.has(address))
  const reason = `removed: ${cuts.map(({ name, why }) => `${name} (${why})`).join('; ')}`
  const message = { envelope, content }
  const kept = await options.quarantine.keep({ message, recipients, reason, policy: 'attachment' })
  options.events.stripped({
    id: envelope.id,
    recipients: recipients.map(({ address }) => address),
    parts: cuts.length,
    reason,
    place: kept.place,
    signatures: 'void',
  })
  return noticesFor(cuts, { id: envelope.id, hostname, postmaster })
}
