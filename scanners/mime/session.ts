// What the steps of reading one message share, and what they hand to one another.
import type { Budget } from './limits.ts'
import type { Octets, Scratch } from './octets.ts'
import type { Part } from './part.ts'

export type Session = {
  budget: Budget
  scratch: Scratch
  /** Told of each header section with Content-* fields, before what it describes is read. */
  met?: ((part: Part) => void) | undefined
}

/**
 * Something to be looked at by itself: by the engine, and for what is in it. A `message` starts with a header
 * section whatever it looks like; a `text` may hold anything that is written in text.
 */
export type Piece = {
  octets: Octets
  as: 'message' | 'text' | 'file'
  /** The body part that it is a reading of. */
  part?: Part | undefined
  /** As the line before an encoded file has it; Latin-1. */
  name?: string | undefined
  /** The body it was decoded from, in the text it stands in, where nobody can decode anything else from that. */
  cut?: Range
  /** What a mail program shows of its own accord, and an engine's own reader finds as well if the message is by the book. */
  isShown?: boolean
  /** How often its text was rewritten already, as a program would: each reading has readings of its own. */
  rewritten?: number
}

/** Octets from `from` to before `to`. */
export type Range = { from: number; to: number }
