// Lets heuristic findings of clamd score instead of refuse, where that clamd is known to look on after one.
//
// clamd reports one name. Without HeuristicScanPrecedence it looks on after what its own code finds odd, and reports
// a virus rather than that; with it the first name ends the scan, and would hide what comes after. Names of
// signatures (`PUA.`, `.UNOFFICIAL`) never score: the first signature that matches ends the look at a file.

import { bundle } from '../mime/bundle.ts'
import { inMemory } from '../mime/octets.ts'
import type { Verdict } from '../scanner.ts'
import { replyTo } from './instream.ts'
import { tooDeep } from './limits.ts'

/** How long a clamd is believed to be set up as it was. */
const KNOWN_MS = 300_000
/** What clamd's code finds and is known to look on after; `*` at the end stands for any rest. */
const PATTERN =
  /^Heuristics\.(Phishing|OLE2\.ContainsMacros|Structured|Broken|PDF)[A-Za-z0-9._-]*\*?$/
const SIGNATURE = /\.UNOFFICIAL$/
/** In pieces, so that this file is not taken for what it names. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*']

export const isHeuristicPattern = (pattern: string): boolean => PATTERN.test(pattern)

export type Heuristics = {
  /**
   * A heuristic name becomes its score; everything else, and a clamd that does not look on, stays as it is. Where
   * that can't be found out before `signal` aborts, `failed`.
   */
  judge(verdict: Verdict, address: string, signal: AbortSignal): Promise<Verdict>
}

export function createHeuristics(scores: Readonly<Record<string, number>>): Heuristics {
  const known = new Map<string, { at: number; looksOn: boolean }>()

  async function looksOnAt(address: string, signal: AbortSignal): Promise<boolean | undefined> {
    const before = known.get(address)
    if (before && Date.now() - before.at < KNOWN_MS) return before.looksOn
    const looksOn = await findsMore(address, signal)
    if (looksOn !== undefined) known.set(address, { at: Date.now(), looksOn })
    return looksOn
  }

  return {
    async judge(verdict, address, signal) {
      if (verdict.kind !== 'infected' || SIGNATURE.test(verdict.name)) return verdict
      const score = scoreOf(verdict.name, scores)
      if (score === undefined) return verdict
      const looksOn = await looksOnAt(address, signal)
      if (looksOn === false) return verdict
      if (looksOn === undefined)
        return { kind: 'failed', failure: 'slow', cause: 'clamd did not say whether it looks on' }
      return { kind: 'scored', score, symbols: [verdict.name], adds: true }
    },
  }
}

/** The longest pattern that fits. */
function scoreOf(name: string, scores: Readonly<Record<string, number>>): number | undefined {
  const fitting = Object.keys(scores).filter(pattern =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  )
  const [longest] = fitting.sort((a, b) => b.length - a.length)
  return longest === undefined ? undefined : scores[longest]
}

/** Whether a virus after a heuristic name is what is reported; false where it does not know the one used here. */
async function findsMore(address: string, signal: AbortSignal): Promise<boolean | undefined> {
  const deep = await replyTo(address, tooDeep(), signal)
  if (deep === undefined) return undefined
  // Without AlertExceedsMax there is no heuristic name to look on after.
  if (!deep.startsWith('stream: Heuristics.Limits.Exceeded')) return false
  const parts = [tooDeep(), Buffer.from(EICAR.join(''))].map(each => ({
    octets: inMemory(each),
    sha256: '',
  }))
  const { sizeBytes, slice } = bundle(parts)
  const both = await replyTo(address, slice(0, sizeBytes), signal)
  return both === undefined
    ? undefined
    : /^stream: (?!Heuristics\.)[\x20-\x7e]+ FOUND\0$/.test(both)
}
