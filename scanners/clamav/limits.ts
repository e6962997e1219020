// Finds out whether a clamd reports what exceeds its limits; by default it calls such content clean (AlertExceedsMax).
import { gzipSync } from 'node:zlib'
import { replyTo } from './instream.ts'

/** Deeper than clamd's MaxRecursion can be set. */
const DEPTH = 110

let probe: Buffer | undefined

/** Harmless, and packed so often that no clamd looks to its end. */
export function tooDeep(): Buffer {
  if (probe) return probe
  let packed: Buffer = Buffer.from('A test of limits.\n')
  for (let level = 0; level < DEPTH; level++) packed = gzipSync(packed)
  probe = packed
  return probe
}

/** Undefined where clamd does not say before `signal` aborts. */
export async function reportsLimits(
  address: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const reply = await replyTo(address, tooDeep(), signal)
  if (reply === 'stream: OK\0') return false
  return reply?.startsWith('stream: Heuristics.Limits.Exceeded') ? true : undefined
}
