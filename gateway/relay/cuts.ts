// Puts notices in the place of parts that are not to be relayed; the spool's file stays as it is.
import type { Cut } from '../../policies/policy.ts'

/** Octets `from` to before `to` of the content, and what is sent instead. */
export type Replacement = { from: number; to: number; notice: Buffer }

/** Longest line but its end (RFC 5322 §2.1.1). */
const LINE_LENGTH = 78

/** Each a whole body part, without the line break that belongs to the delimiter behind it. */
export const noticesFor = (
  cuts: readonly Cut[],
  { id, hostname, postmaster }: { id: string; hostname: string; postmaster: string },
): Replacement[] =>
  cuts.map(({ from, to, name, why }) => ({
    from,
    to,
    notice: Buffer.from(
      [
        'Content-Type: text/plain; charset=us-ascii',
        'Content-Transfer-Encoding: 7bit',
        'Content-Disposition: inline; filename="removed.txt"',
        '',
        'An attachment that is not accepted here was removed from this message.',
        '',
        `Name:    ${name}`,
        `Reason:  ${why}`,
        `Gateway: ${hostname}`,
        '',
        'The message as it was sent is kept in the quarantine under this id:',
        `  ${id}`,
        `Whoever needs it may ask ${postmaster}.`,
      ]
        .map(line => line.replace(/[^\x20-\x7e]/g, '?').slice(0, LINE_LENGTH))
        .join('\r\n'),
      'latin1',
    ),
  }))

/** Octets that the content grows by; throws where the replacements are not in order, or not within it. */
export function growthOf(replacements: readonly Replacement[], contentBytes: number): number {
  let reach = 0
  let growth = 0
  for (const { from, to, notice } of replacements) {
    if (from < reach || to < from || to > contentBytes)
      throw new Error('a part to cut is not there')
    reach = to
    growth += notice.length - (to - from)
  }
  return growth
}

/** Takes the content in pieces, and gives what is to be sent of each. */
export function createCutter(replacements: readonly Replacement[]): (chunk: Buffer) => Buffer[] {
  let at = 0
  let index = 0
  return chunk => {
    const kept: Buffer[] = []
    const end = at + chunk.length
    let done = at
    for (let cut = replacements[index]; cut && cut.from < end; cut = replacements[index]) {
      if (cut.from >= at) kept.push(chunk.subarray(done - at, cut.from - at), cut.notice)
      done = Math.min(end, cut.to)
      if (cut.to > end) break
      index++
    }
    kept.push(chunk.subarray(done - at))
    at = end
    return kept.filter(piece => piece.length > 0)
  }
}
