// Reads a message as all mail programs would, and hands out each thing that one of them could open, once.

import { openPiece } from './formats.ts'
import { type Budget, createBudget, type Ending, LIMITS, type Limits } from './limits.ts'
import { type Octets, type Scratch, sha256 } from './octets.ts'
import type { Part } from './part.ts'
import type { Piece, Range, Session } from './session.ts'

/** Its octets are there until `scratch` is disposed of. */
export type Leaf = {
  octets: Octets
  sha256: string
  part?: Part | undefined
  /** The part of the message itself that it was found in. */
  outermost?: Part | undefined
  name?: string | undefined
  /** In a message by the book (`book.ts`), an engine that reads mail itself has it as a file of its own already. */
  isShown: boolean
}

/** For whoever asks after parts, not only after what is in them. */
export type Inquiry = {
  /** Every part, in the order of their beginnings; `ends` grows until its last leaf was yielded. */
  met(part: Part): void
}

/**
 * Yields leaves as they are found, each content once (with an inquiry, as often as it is found), and returns why
 * the message can't be told to be read whole; nothing where it can. Throws only where a file can't be read or
 * written. It needs as little memory for a large message as for a small one, and gives way to others while it works. `cuts`
 * gets the bodies that a leaf stands for, whoever reads them (`skeleton.ts`).
 */
export async function* readLeaves(
  octets: Octets,
  scratch: Scratch,
  signal: AbortSignal,
  limits: Limits = LIMITS,
  inquiry?: Inquiry,
  cuts: Range[] = [],
): AsyncGenerator<Leaf, Ending[]> {
  const budget = createBudget(limits, octets.sizeBytes, signal)
  const layers: Layer[] = []
  const session: Session = { budget, scratch, met: inquiry && metIn(layers, inquiry) }
  const known = new Set<string>()
  const given = new Set<string>()
  const root: Piece = { octets, as: 'message' }
  layers.push({ pieces: openPiece(root, session) })
  for (let top = layers.at(-1); top && !budget.spent; top = layers.at(-1)) {
    const { value: piece, done } = await top.pieces.next()
    if (done) layers.pop()
    else if (piece.octets.sizeBytes > 0) {
      const digest = await admitted(piece, layers.length, budget)
      if (digest === undefined) break
      const isRoot = layers.length === 1
      const outermost = isRoot ? piece.part : top.outermost
      const isShown = isRoot && piece.isShown === true
      if (isRoot && piece.cut) cuts.push(piece.cut)
      if (inquiry !== undefined || !given.has(`${digest} ${isShown}`)) {
        given.add(`${digest} ${isShown}`)
        budget.pause()
        const { part, name } = piece
        yield { octets: piece.octets, sha256: digest, part, outermost, name, isShown }
        budget.resume()
      }
      const place = inquiry ? outermost?.from : undefined
      const key = `${digest} ${piece.as === 'message'} ${place}`
      if (!known.has(key)) layers.push({ pieces: openPiece(piece, session), outermost })
      known.add(key)
    }
  }
  return budget.endings
}

type Layer = { pieces: AsyncGenerator<Piece>; outermost?: Part | undefined }

/** A part is met while the uppermost layer is read, so that layer knows where it lies. */
const metIn =
  (layers: readonly Layer[], inquiry: Inquiry) =>
  (part: Part): void => {
    part.outermost = layers.length <= 1 ? part : layers.at(-1)?.outermost
    inquiry.met(part)
  }

/** The digest of a piece within all limits; undefined, and the reason noted, for one beyond. */
async function admitted(piece: Piece, depth: number, budget: Budget): Promise<string | undefined> {
  if (depth > budget.limits.depth) budget.stop('too-deep')
  if (!budget.takePart() || !budget.takeBytes(piece.octets.sizeBytes)) return undefined
  return budget.spent ? undefined : await sha256(piece.octets, budget)
}
