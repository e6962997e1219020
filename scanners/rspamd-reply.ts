// What rspamd's answer to /checkv2 means. An answer without a score, or of a scan not made, is no verdict.
import { z } from 'zod'
import { aligned, reversePathDomain } from './alignment.ts'
import type { Authentication, Finding } from './scanner.ts'

/** Symbols kept of one answer. */
const SYMBOLS_LIMIT = 100
/** As high as any threshold in the configuration can be. */
const FORCED_SCORE = 1000
const SYMBOL = /^[A-Za-z0-9_.()-]{1,64}$/

const symbol = z.object({ options: z.array(z.string()).optional() })
const answer = z.object({
  is_skipped: z.boolean().optional(),
  score: z.number(),
  required_score: z.number().optional(),
  action: z.string(),
  symbols: z.record(z.string(), symbol).default({}),
  messages: z.object({ smtp_message: z.string().optional() }).optional(),
})

const garbled = (cause: string): Finding => ({
  verdict: { kind: 'failed', failure: 'garbled', cause },
})

export function judgeAnswer(body: string, reversePath: string): Finding {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return garbled('answer is not JSON')
  }
  const parsed = answer.safeParse(json)
  if (!parsed.success)
    return garbled(`answer lacks ${parsed.error.issues[0]?.path.join('.') || 'everything'}`)
  const { is_skipped, required_score = Number.NaN, action, symbols, messages } = parsed.data
  // A rule of its own (a virus found by its antivirus module, say) made it refuse, whatever the score.
  const forced = action === 'reject' && !(parsed.data.score >= required_score)
  const score = forced ? FORCED_SCORE : parsed.data.score
  // GTUBE and other rules that settle everything skip the rest: that is a verdict. Any other skip is none.
  if (is_skipped === true && action !== 'reject') return garbled('rspamd skipped the scan')
  if (action === 'soft reject' && /timeout/i.test(messages?.smtp_message ?? ''))
    return { verdict: { kind: 'failed', failure: 'slow', cause: 'rspamd gave up midway' } }
  const names = Object.keys(symbols).filter(name => SYMBOL.test(name))
  return {
    verdict: { kind: 'scored', score, symbols: names.slice(0, SYMBOLS_LIMIT) },
    authentication: authenticationOf(symbols, reversePath),
  }
}

type Symbols = z.infer<typeof answer>['symbols']

function authenticationOf(symbols: Symbols, reversePath: string): Authentication {
  const domain = reversePathDomain(reversePath)
  // For the null reverse-path SPF judges the HELO name, which is nobody a DSN could go to.
  if (domain === undefined) return { spf: false, dkim: false }
  const signers = (symbols.R_DKIM_ALLOW?.options ?? []).map(option => option.split(':')[0] ?? '')
  return {
    spf: symbols.R_SPF_ALLOW !== undefined,
    dkim: signers.some(signer => aligned(signer, domain)),
  }
}
