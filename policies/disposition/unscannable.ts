// A message that no asking again will make scannable: what is to become of it, by reason, the strictest first.
import type { Reason, Report, Verdict } from '../../scanners/scanner.ts'
import type { DomainSettings, Policy, UnscannableAction } from '../policy.ts'
import { byStrictness, decideGap, type Gap } from './matrix.ts'

/**
 * What nobody can have looked into does not pass silently. Two things pass with a mark: encrypted mail, which only its
 * addressee can read and wants to get; and message/external-body, of which nothing but a pointer comes in, that no
 * program of today follows by itself, and which standards bodies and old mailing lists still send.
 */
export const unscannableDefaults: Record<Reason, UnscannableAction> = {
  'too-many': 'quarantine',
  'too-deep': 'quarantine',
  'too-large': 'quarantine',
  ambiguous: 'quarantine',
  'message-partial': 'quarantine',
  'message-external-body': 'relayMarked',
  'encrypted-mail': 'relayMarked',
  'encrypted-archive': 'quarantine',
  'encrypted-document': 'quarantine',
  'unsupported-archive': 'quarantine',
}

const reasonsOf = (verdict: Verdict): readonly Reason[] | undefined =>
  verdict.kind === 'unscannable'
    ? verdict.reasons
    : verdict.kind === 'attachments'
      ? verdict.unread
      : undefined

/** One for each reason of each report, the strictest first. */
export function unscannableGaps(reports: readonly Report[], settings: DomainSettings): Gap[] {
  const gaps: Gap[] = []
  for (const { scanner, verdict } of reports) {
    const found = reasonsOf(verdict)
    if (found === undefined) continue
    // Without a reason it can only be a fault of ours: fail closed.
    const reasons = found.length > 0 ? found : (['ambiguous'] as const)
    for (const why of reasons)
      gaps.push({ scanner, why, action: settings.unscannable[why] ?? 'quarantine', cause: '' })
  }
  return byStrictness(gaps)
}

export const unscannable: Policy = {
  name: 'unscannable',
  decide(reports, _envelope, _recipient, settings) {
    const [strictest] = unscannableGaps(reports, settings)
    return strictest && decideGap(strictest, 'unscannable', 'Message cannot be scanned')
  },
}
