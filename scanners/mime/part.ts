// What is known of a body part beside its octets: the fields that describe it, and where it lies.
import type { Field } from './header.ts'

export type Part = {
  fields: readonly Field[]
  /** Where its header section starts, in the text that it was found in. */
  from: number
  /** Each place at which one reading or another ends it. */
  ends: Set<number>
  /** The part of the message itself that it was found in; itself where it is one. Undefined where it is in none. */
  outermost?: Part | undefined
}
