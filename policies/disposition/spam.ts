// The highest spam score against the domain's thresholds: refuse, quarantine, or leave it to be tagged.
import { reply } from '../../gateway/reply.ts'
import type { Report } from '../../scanners/scanner.ts'
import type { Policy } from '../policy.ts'
import { words } from './words.ts'

export type Scored = { scanner: string; score: number; symbols: string[] }

/** The report with the highest score, and on top what others add, where any scanner gave one. */
export function highestScore(reports: readonly Report[]): Scored | undefined {
  const scored = reports.flatMap(({ scanner, verdict }) =>
    verdict.kind === 'scored' ? [{ scanner, ...verdict }] : [],
  )
  const [highest] = scored.filter(each => !each.adds).sort((a, b) => b.score - a.score)
  const counted = [...(highest ? [highest] : []), ...scored.filter(each => each.adds)]
  if (counted.length === 0) return undefined
  return {
    scanner: counted.map(each => each.scanner).join('+'),
    score: counted.reduce((sum, { score }) => sum + score, 0),
    symbols: counted.flatMap(each => each.symbols),
  }
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
