// The highest spam score against the domain's thresholds: refuse, quarantine, or leave it to be tagged.
import { reply } from '../../gateway/reply.ts'
import type { Report } from '../../scanners/scanner.ts'
import type { Policy } from '../policy.ts'
import { words } from './words.ts'

export type Scored = { scanner: string; score: number; symbols: string[] }

/** The report with the highest score, where any scanner gave one. */
export function highestScore(reports: readonly Report[]): Scored | undefined {
  let highest: Scored | undefined
  for (const { scanner, verdict } of reports)
    if (verdict.kind === 'scored' && (highest === undefined || verdict.score > highest.score))
      highest = { scanner, score: verdict.score, symbols: verdict.symbols }
  return highest
}

export const spam: Policy = {
  name: 'spam',
  decide(reports, _envelope, _recipient, settings) {
    const highest = highestScore(reports)
    if (!highest) return undefined
    const reason = words(`${highest.scanner}: score ${highest.score}`)
    if (highest.score >= settings.spam.reject)
      return {
        disposition: 'reject',
        policy: 'spam',
        reason,
        reply: reply(550, '5.7.1', 'Message refused as spam'),
      }
    if (highest.score >= settings.spam.quarantine)
      return { disposition: 'quarantine', policy: 'spam', reason }
    return undefined
  },
}
