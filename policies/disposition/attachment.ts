// Files that a domain does not take, by name, claimed type or real kind: refused, kept aside, cut out or marked.
import { reply } from '../../gateway/reply.ts'
import type { Attachment, Report, Verdict } from '../../scanners/scanner.ts'
import {
  ATTACHMENT_ACTIONS,
  type AttachmentAction,
  type AttachmentRule,
  type Cut,
  type Decision,
  type DomainSettings,
  type Policy,
} from '../policy.ts'
import { type AskRules, createRules } from './attachment-rules.ts'
import { STANDARD } from './attachment-standard.ts'
import { field, words } from './words.ts'

/** The strictest action over all files, and those that it, or a milder one, concerns. */
export type Judgement = { action: AttachmentAction; blamed: Blamed[] }
type Blamed = { attachment: Attachment; action: AttachmentAction; why: string }

/** More parts than this are not cut out of one message: it is kept instead. */
const CUTS = 50
/** Files named in a field or a reason. */
const NAMED = 10
const NAME_LENGTH = 80

/** Refuses before any engine's failure counts: nothing it could say would make the file welcome. */
export const refusedAttachment: Policy = {
  name: 'attachment',
  decide(reports, _envelope, _recipient, settings) {
    const judgement = judgeAttachments(reports, settings)
    if (judgement?.action !== 'reject') return undefined
    const [first] = judgement.blamed.filter(({ action }) => action === 'reject')
    const name = first ? nameOf(first.attachment) : ''
    return {
      disposition: 'reject',
      policy: 'attachment',
      reason: reasonOf(judgement),
      reply: reply(550, '5.7.1', `Attachment of a kind this domain does not accept: ${name}`),
    }
  },
}

/** Keeps only what nobody wants to refuse. */
export const keptAttachment: Policy = {
  name: 'attachment',
  decide(reports, _envelope, _recipient, settings) {
    const judgement = judgeAttachments(reports, settings)
    if (judgement?.action !== 'quarantine') return undefined
    return { disposition: 'quarantine', policy: 'attachment', reason: reasonOf(judgement) }
  },
}

/** What the relayed message says of its files, and what is cut out of it. */
export function relayedAttachments(
  reports: readonly Report[],
  settings: DomainSettings,
): Pick<Decision, 'cuts'> & { fields: string[]; reason?: string } {
  const judgement = judgeAttachments(reports, settings)
  if (!judgement || judgement.action === 'relay') return { fields: [] }
  const by = (wanted: AttachmentAction): Blamed[] =>
    judgement.blamed.filter(({ action }) => action === wanted)
  const fields: string[] = []
  if (by('relayMarked').length > 0)
    fields.push(field('X-Sallyport-Attachments', listed(by('relayMarked'))))
  const cuts = cutsOf(by('strip'))
  if (cuts.length === 0) return { fields }
  const changed = 'content changed, earlier DKIM signatures are void'
  fields.push(field('X-Sallyport-Removed', `${listed(by('strip')).slice(0, 800)}; ${changed}`))
  return { fields, cuts, reason: reasonOf(judgement) }
}

/**
 * Judged once for all recipients that the same rules hold for: a message may have a thousand of them, and tens
 * of thousands of files. What is remembered goes with the verdict.
 */
const judged = new WeakMap<Verdict, WeakMap<AskRules, Judgement>>()
const compiled = new WeakMap<readonly AttachmentRule[], { alone: AskRules; shipped: AskRules }>()

/** Undefined where no scanner reported files, or the domain has no rules. */
export function judgeAttachments(
  reports: readonly Report[],
  { attachments }: DomainSettings,
): Judgement | undefined {
  const verdict = reports.find(report => report.verdict.kind === 'attachments')?.verdict
  if (verdict?.kind !== 'attachments' || !attachments) return undefined
  const { rules, standard } = attachments
  const both = compiled.get(rules) ?? {
    alone: createRules(rules),
    shipped: createRules([...rules, ...STANDARD]),
  }
  compiled.set(rules, both)
  const ask = standard ? both.shipped : both.alone
  const memory = judged.get(verdict) ?? new WeakMap<AskRules, Judgement>()
  judged.set(verdict, memory)
  const judgement = memory.get(ask) ?? judge(verdict.found, ask)
  memory.set(ask, judgement)
  return judgement
}

function judge(found: readonly Attachment[], ask: AskRules): Judgement {
  const blamed: Blamed[] = []
  for (const attachment of found) {
    const action = ask(attachment)
    if (action === undefined || action === 'relay') continue
    const why = attachment.kinds.join(', ') || 'name or type'
    if (action === 'strip' && attachment.span === undefined)
      blamed.push({ attachment, action: 'quarantine', why: `${why}, cannot be cut out` })
    else blamed.push({ attachment, action, why })
  }
  const strictest = (): AttachmentAction =>
    ATTACHMENT_ACTIONS.find(action => blamed.some(b => b.action === action)) ?? 'relay'
  const action = strictest()
  const tooMany = action === 'strip' && cutsOf(blamed).length > CUTS
  return { action: tooMany ? 'quarantine' : action, blamed }
}

/** In their order; a part within another goes with that one. */
function cutsOf(blamed: readonly Blamed[]): Cut[] {
  const cuts = blamed.flatMap(({ attachment, action, why }) =>
    action === 'strip' && attachment.span
      ? [{ ...attachment.span, name: nameOf(attachment), why }]
      : [],
  )
  cuts.sort((a, b) => a.from - b.from || b.to - a.to)
  let reach = -1
  return cuts.filter(cut => {
    if (cut.from < reach) return false
    reach = cut.to
    return true
  })
}

/** Fit for a reply, a log line and a header field: what is not plain is a question mark. */
const nameOf = ({ names, packed }: Attachment): string => {
  const plain = (names[0] ?? 'unnamed').replace(/[^\w .()+@,-]/g, '?')
  return words(`${plain.slice(-NAME_LENGTH)}${packed ? ' (packed)' : ''}`)
}

const listed = (blamed: readonly Blamed[]): string =>
  blamed
    .slice(0, NAMED)
    .map(({ attachment, why }) => `${nameOf(attachment)} (${why})`)
    .join('; ') + (blamed.length > NAMED ? `; and ${blamed.length - NAMED} more` : '')

function reasonOf({ action, blamed }: Judgement): string {
  const concerned = blamed.filter(b => b.action === action)
  return words(`attachments: ${listed(concerned.length > 0 ? concerned : blamed)}`)
}
