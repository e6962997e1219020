// What clamd's reply to INSTREAM means. Only the exact words of a clean reply are clean.
import type { Verdict } from '../scanner.ts'

/** What clamscan made of the reply; undefined where it rejected or never settled. */
export type ClamscanResult = {
  isInfected: boolean | null
  viruses: string[]
  resultString?: string
}

/** How the conversation ended, for a reply that was none. */
export type ConversationEnd = {
  reply: string
  fault?: { code?: string | undefined; message: string }
}

const CLEAN = 'stream: OK\0'
const FOUND = /^stream: ([\x21-\x7e][\x20-\x7e]{0,199}) FOUND\0$/
const CAUSE_CHARACTERS = 120

const printable = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, CAUSE_CHARACTERS)

/** Both clamscan's reading and the octets themselves must say so; anything else is a failure. */
export function judgeReply(result: ClamscanResult | undefined, end: ConversationEnd): Verdict {
  const { reply, fault } = end
  if (result?.isInfected === false && result.resultString === CLEAN && reply === CLEAN)
    return { kind: 'clean' }
  const name = result?.isInfected === true ? FOUND.exec(reply)?.[1] : undefined
  if (name !== undefined) return judgeName(name)
  if (/INSTREAM size limit exceeded/.test(reply))
    return { kind: 'failed', failure: 'limit', cause: printable(reply) }
  if (/COMMAND READ TIMED OUT/.test(reply))
    return { kind: 'failed', failure: 'slow', cause: printable(reply) }
  if (reply === '')
    return {
      kind: 'failed',
      failure: 'down',
      cause: fault ? printable(fault.code ?? fault.message) : 'closed without a reply',
    }
  return { kind: 'failed', failure: 'garbled', cause: `replied: ${printable(reply)}` }
}

function judgeName(name: string): Verdict {
  // With AlertExceedsMax clamd reports its own limits like a virus: it stopped looking.
  if (name.startsWith('Heuristics.Limits.Exceeded'))
    return { kind: 'failed', failure: 'limit', cause: name }
  if (name.startsWith('Heuristics.Encrypted.PDF'))
    return { kind: 'unscannable', reasons: ['encrypted-document'] }
  if (name.startsWith('Heuristics.Encrypted'))
    return { kind: 'unscannable', reasons: ['encrypted-archive'] }
  return { kind: 'infected', name }
}
