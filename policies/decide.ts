// Asks the policies in order what is to become of a message for one recipient. Relays nothing unscanned (I2).
import type { Envelope, Recipient } from '../gateway/message.ts'
import { reply } from '../gateway/reply.ts'
import type { Report, Verdict } from '../scanners/scanner.ts'
import type { Decision, DomainSettings } from './policy.ts'
import { policies } from './registry.ts'

/** Pure. `required` names the configured scanners: one that didn't report counts as `failed` (`garbled`). */
export function decide(
  reports: readonly Report[],
  envelope: Envelope,
  recipient: Recipient,
  settings: DomainSettings,
  required: readonly string[],
): Decision {
  const complete = completed(reports, required)
  for (const policy of policies) {
    const decision = policy.decide(complete, envelope, recipient, settings)
    if (decision) return decision
  }
  return {
    disposition: 'defer',
    policy: 'none',
    reason: 'no policy had an opinion',
    reply: reply(451, '4.7.1', 'Cannot scan this message now, try again later'),
  }
}

/** A missing report, and a score that is no number, are failures like any other. */
function completed(reports: readonly Report[], required: readonly string[]): Report[] {
  const complete = reports.map(report =>
    report.verdict.kind === 'scored' && !Number.isFinite(report.verdict.score)
      ? { ...report, verdict: garbled('its score is no number') }
      : report,
  )
  for (const scanner of required)
    if (!reports.some(report => report.scanner === scanner))
      complete.push({ scanner, verdict: garbled('did not report'), durationMs: 0 })
  return complete
}

const garbled = (cause: string): Verdict => ({ kind: 'failed', failure: 'garbled', cause })
