// Reads a message as all mail programs would, and hands out each thing that one of them could open, once.

import { openPiece } from './formats.ts'
import { type Budget, createBudget, type Ending, LIMITS, type Limits } from './limits.ts'
import { type Octets, type Scratch, sha256 } from './octets.ts'
import type { Piece } from './session.ts'

/** Its octets are there until `scratch` is disposed of. */
export type Leaf = { octets: Octets; sha256: string }

/**
 * Yields leaves as they are found, each content once, and returns why the message can't be told to be read
 * whole; nothing where it can. Throws only where a file can't be read or written. It needs as little memory
 * for a large message as for a small one, and gives way to others while it works.
 */
export async function* readLeaves(
  octets: Octets,
  scratch: Scratch,
  signal: AbortSignal,
  limits: Limits = LIMITS,
): AsyncGenerator<Leaf, Ending[]> {
  const budget = createBudget(limits, octets.sizeBytes, signal)
  const session = { budget, scratch }
  const known = new Set<string>()
  const given = new Set<string>()
  const root: Piece = { octets, as: 'message' }
  const layers: AsyncGenerator<Piece>[] = [openPiece(root, session)]
  for (let top = layers.at(-1); top && !budget.spent; top = layers.at(-1)) {
    const { value: piece, done } = await top.next()
    if (done) layers.pop()
    else if (piece.octets.sizeBytes > 0) {
      const digest = await admitted(piece, layers.length, budget)
      if (digest === undefined) break
      if (!given.has(digest)) {
        given.add(digest)
        budget.pause()
        yield { octets: piece.octets, sha256: digest }
        budget.resume()
      }
      const key = `${digest} ${piece.as === 'message'}`
      if (!known.has(key)) layers.push(openPiece(piece, session))
      known.add(key)
    }
  }
  return budget.endings
}

/** The digest of a piece within all limits; undefined, and the reason noted, for one beyond. */
async function admitted(piece: Piece, depth: number, budget: Budget): Promise<string | undefined> {
  if (depth > budget.limits.depth) budget.stop('too-deep')
  if (!budget.takePart() || !budget.takeBytes(piece.octets.sizeBytes)) return undefined
  return budget.spent ? undefined : await sha256(piece.octets, budget)
}
