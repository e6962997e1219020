// The last policy: relays what every scanner judged, or what the matrix lets pass, with fields that say so.
import type { Report, Verdict } from '../../scanners/scanner.ts'
import type { DomainSettings, Policy } from '../policy.ts'
import { relayedAttachments } from './attachment.ts'
import { failedGaps, type Gap, letsPass } from './matrix.ts'
import { highestScore } from './spam.ts'
import { unscannableGaps } from './unscannable.ts'
import { field } from './words.ts'

/** Gives no opinion, so that the message is deferred, where any report stands in the way. */
export const relay: Policy = {
  name: 'relay',
  decide(reports, _envelope, _recipient, settings) {
    const known = ['failed', 'unscannable']
    if (!reports.every(({ verdict }) => isJudged(verdict) || known.includes(verdict.kind)))
      return undefined
    const gaps = [...unscannableGaps(reports, settings), ...failedGaps(reports, settings)]
    if (!gaps.every(gap => letsPass(gap.action))) return undefined
    const { fields: said, cuts, reason } = relayedAttachments(reports, settings)
    const fields = [...fieldsOf(reports, gaps, settings), ...said]
    const cut = cuts ? { cuts } : {}
    const gap = gaps.find(each => each.action === 'relayMarked') ?? gaps[0]
    if (!gap)
      return {
        ...{ disposition: 'relay', policy: 'relay', fields, ...cut },
        reason: reason ?? 'scanned',
      }
    const { scanner, why: failure, action } = gap
    return {
      disposition: 'relay',
      policy: 'relay',
      reason: `not scanned by ${scanner} (${failure})`,
      fields,
      ...cut,
      unscanned: { scanner, failure, action },
    }
  },
}

const isJudged = (verdict: Verdict): boolean =>
  verdict.kind === 'clean' ||
  verdict.kind === 'attachments' ||
  (verdict.kind === 'scored' && Number.isFinite(verdict.score))

function fieldsOf(
  reports: readonly Report[],
  gaps: readonly Gap[],
  settings: DomainSettings,
): string[] {
  const said = reports.map(({ scanner, verdict }) => `${scanner}=${shortly(verdict)}`)
  const fields = [field('X-Sallyport-Scanned', said.join(', ') || 'none')]
  const marked = gaps.filter(gap => gap.action === 'relayMarked')
  if (marked.length > 0) {
    const names = marked.map(gap => `${gap.scanner} (${gap.why})`)
    fields.push(field('X-Sallyport-Unscanned', names.join(', ')))
  }
  const highest = highestScore(reports)
  if (highest && highest.score >= settings.spam.tag) {
    fields.push(field('X-Sallyport-Spam', `yes, score=${rounded(highest.score)}`))
    if (highest.symbols.length > 0)
      fields.push(field('X-Sallyport-Spam-Symbols', highest.symbols.join(', ')))
  }
  return fields
}

const rounded = (score: number): number => Math.round(score * 100) / 100

function shortly(verdict: Verdict): string {
  if (verdict.kind === 'scored') return String(rounded(verdict.score))
  if (verdict.kind === 'attachments') return `${verdict.found.length} found`
  return verdict.kind === 'failed' ? verdict.failure : verdict.kind
}
