// Has an engine look at everything that some mail program would open from a message, each thing as a file of its own.
import path from 'node:path'
import type { Content } from '../gateway/message.ts'
import { octetsOf, type Sendable } from './content.ts'
import { bundle } from './mime/bundle.ts'
import { type Ending, LIMITS, type Reason } from './mime/limits.ts'
import { createScratch } from './mime/octets.ts'
import { type Leaf, readLeaves } from './mime/reader.ts'
import type { Range } from './mime/session.ts'
import { skeletonOf } from './mime/skeleton.ts'
import type { Verdict } from './scanner.ts'
import type { VerdictCache } from './verdict-cache.ts'

/** HTML texts of one message that may wait until it is known to be by the book. */
const SHOWN_LEAVES = 20
/** Leaves up to this size go to the engine together, in a batch of at most so many octets and leaves. */
const SMALL_BYTES = 65_536
const BATCH_BYTES = 1024 * 1024
const BATCH_LEAVES = 500
/** Names of what scores, in one message. */
const SYMBOLS = 50

export type LeafOptions = {
  /**
   * The engine reads mail itself: it is given the message as well, after the leaves, without what it has had as a
   * leaf already where that is safe (`mime/skeleton.ts`), and not twice what it finds itself.
   */
  withMessage?: 'skeleton' | 'whole'
  /** Asked where there is a RAR archive that only an engine can open. Undefined where that can't be found out now. */
  opensRar(): Promise<boolean | undefined>
  /** The engine is known to look into tar archives: small leaves are sent in one. The default. */
  together?: boolean
}

/**
 * Clean only where all of it was read and every leaf is clean, and so is the message if that was asked for. A virus
 * in one ends it; so does an engine that can't say. Where the reader gave up, that is the verdict unless a leaf read
 * until then is infected.
 */
export async function scanLeaves(
  content: Content,
  ask: (leaf: Sendable) => Promise<Verdict>,
  cache: VerdictCache,
  signal: AbortSignal,
  { withMessage, together = true, opensRar }: LeafOptions,
): Promise<Verdict> {
  using scratch = createScratch(path.dirname(content.path))
  const message = octetsOf(content, scratch)
  const cuts: Range[] = []
  const reading = readLeaves(message, scratch, signal, LIMITS, undefined, cuts)
  const shown: Leaf[] = []
  let verdict: Verdict = { kind: 'clean' }
  let batch: Leaf[] = []
  let batchBytes = 0
  const judge = async (leaves: Leaf[]): Promise<void> => {
    const [first] = leaves
    if (!first) return
    const keep = cache.keeper()
    const found = await ask(leaves.length === 1 ? first.octets : bundle(leaves))
    if (found.kind === 'clean') leaves.forEach(keep)
    verdict = graver(verdict, found)
    // One name is told of several leaves: it may stand before that of another.
    if (found.kind === 'scored' && leaves.length > 1)
      for (const leaf of leaves) if (!isFinal(verdict)) await judge([leaf])
  }
  const judgeBatch = async (): Promise<void> => {
    const leaves = batch
    batch = []
    batchBytes = 0
    await judge(leaves)
  }
  const take = async (leaf: Leaf): Promise<void> => {
    const { sizeBytes } = leaf.octets
    if (!together || sizeBytes > SMALL_BYTES)
      return (await cache.isKnownClean(leaf)) ? undefined : judge([leaf])
    batch.push(leaf)
    batchBytes += sizeBytes
    if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_LEAVES) await judgeBatch()
  }
  for (;;) {
    const { value, done } = await reading.next()
    if (done) {
      const mayLack = withMessage && value.every(each => each === 'rar') && !signal.aborted
      const skeleton =
        mayLack && (cuts.length > 0 || shown.length > 0)
          ? skeletonOf(message, withMessage === 'whole' ? [] : cuts)
          : undefined
      // What isn't by the book is shown by one program, and a file to the next.
      if (!skeleton) for (const leaf of shown) if (!isFinal(verdict)) await take(leaf)
      if (!isFinal(verdict)) await judgeBatch()
      if (withMessage && !isFinal(verdict))
        verdict = graver(verdict, await ask(skeleton ?? content))
      if (isFinal(verdict)) return verdict
      return graver(verdict, await ending(value, signal, opensRar))
    }
    if (cache.isClean(value)) continue
    if (withMessage && value.isShown && shown.length < SHOWN_LEAVES) shown.push(value)
    else await take(value)
    if (isFinal(verdict)) return verdict
  }
}

async function ending(
  endings: Ending[],
  signal: AbortSignal,
  opensRar: LeafOptions['opensRar'],
): Promise<Verdict> {
  if (signal.aborted || endings.includes('too-slow')) return UNREAD
  const reasons = new Set<Reason>()
  for (const each of endings) if (each !== 'too-slow' && each !== 'rar') reasons.add(each)
  if (endings.includes('rar')) {
    const isOpened = await opensRar()
    if (isOpened === undefined) return UNKNOWN
    if (!isOpened) reasons.add('unsupported-archive')
  }
  return reasons.size === 0 ? { kind: 'clean' } : { kind: 'unscannable', reasons: [...reasons] }
}

const slow = (cause: string): Verdict => ({ kind: 'failed', failure: 'slow', cause })
const UNREAD = slow('the message was not read in time')
const UNKNOWN = slow('the engine did not say whether it opens RAR')

/** Nothing that could still be found would change it, or nothing can be found any more. */
export const isFinal = (verdict: Verdict): boolean =>
  verdict.kind === 'infected' || (verdict.kind === 'failed' && verdict.failure !== 'limit')

const GRAVITY = ['clean', 'scored', 'unscannable', 'failed', 'infected']

/** The first of two where they weigh the same; but no reason and no symbol is lost. */
export function graver(one: Verdict, other: Verdict): Verdict {
  if (one.kind === 'unscannable' && other.kind === 'unscannable')
    return { kind: 'unscannable', reasons: [...new Set([...one.reasons, ...other.reasons])] }
  if (one.kind === 'scored' && other.kind === 'scored')
    return {
      ...one,
      score: Math.max(one.score, other.score),
      symbols: [...new Set([...one.symbols, ...other.symbols])].slice(0, SYMBOLS),
    }
  return GRAVITY.indexOf(other.kind) > GRAVITY.indexOf(one.kind) ? other : one
}
