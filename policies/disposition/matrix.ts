// The failure matrix: what an administrator wants done where a scanner gave no verdict.
import { reply } from '../../gateway/reply.ts'
import type { FailureKind, Reason, Report } from '../../scanners/scanner.ts'
import type { Decision, DomainSettings, MatrixAction } from '../policy.ts'
import { words } from './words.ts'

/** One scanner that gave no verdict and why, and what the configuration says of it. */
export type Gap = {
  scanner: string
  why: FailureKind | Reason
  action: MatrixAction
  cause: string
}

/** The strictest wins where several scanners gave no verdict. */
const STRICTNESS: MatrixAction[] = [
  'reject',
  'quarantine',
  'tempfail',
  'hold',
  'relayMarked',
  'relay',
]

/** Whether the matrix lets mail through without this verdict. */
export const letsPass = (action: MatrixAction): boolean =>
  action === 'relay' || action === 'relayMarked'

export const byStrictness = (gaps: Gap[]): Gap[] =>
  gaps.sort((a, b) => STRICTNESS.indexOf(a.action) - STRICTNESS.indexOf(b.action))

/** The reports of engines that failed, the strictest entry first. */
export function failedGaps(reports: readonly Report[], settings: DomainSettings): Gap[] {
  const gaps: Gap[] = []
  for (const { scanner, verdict } of reports) {
    if (verdict.kind !== 'failed') continue
    // Settings without the row can only be a fault of ours: fail closed.
    const action = settings.failure[scanner]?.[verdict.failure] ?? 'tempfail'
    gaps.push({ scanner, why: verdict.failure, action, cause: verdict.cause })
  }
  return byStrictness(gaps)
}

/** The decision a gap leads to; undefined where the matrix lets it pass and other policies have their say. */
export function decideGap(gap: Gap, policy: string, refusal: string): Decision | undefined {
  const { scanner, why, action, cause } = gap
  const said = {
    policy,
    reason: words([scanner, why, cause].filter(Boolean).join(': ')),
    unscanned: { scanner, failure: why, action },
  }
  switch (action) {
    case 'relay':
    case 'relayMarked':
      return undefined
    case 'reject':
      return { ...said, disposition: 'reject', reply: reply(550, '5.7.1', refusal) }
    case 'quarantine':
      return { ...said, disposition: 'quarantine' }
    case 'hold':
      return { ...said, disposition: 'defer', custody: true, reply: TRY_AGAIN }
    case 'tempfail':
      return { ...said, disposition: 'defer', reply: TRY_AGAIN }
  }
}

const TRY_AGAIN = reply(451, '4.7.1', 'Cannot scan this message now, try again later')
