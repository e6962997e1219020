// A message without the bodies of its large attachments, for an engine that has each of them as a file already.
//
// What the engine gets is the message's own octets, in their order, less some runs of them. A run may go only
// where everybody must read it alike: the reader decoded it as one body of clean base64 in the one way there is,
// the engine has what that decodes to, and the message is by the book (`book.ts`), with nothing else where the run
// stood. So nobody finds a delimiter, a field or another encoding in what is missing: it is letters of base64 and
// line ends, between the empty line that ends a part's fields and the delimiter that ends the part. In every other
// case the engine gets the whole message beside the files in it.
//
// One thing is lost: a signature that asks for "within a mail" (Container:CL_TYPE_MAIL) does not match a file that
// comes alone. `scanners.clamav.wholeMessage` is for those who have such signatures.
import { isByTheBook } from './book.ts'
import { inMemory, type Octets } from './octets.ts'
import type { Range } from './session.ts'

/** A skeleton is held in memory; a message that has more beside its attachments is sent whole. */
const LARGEST_BYTES = 1024 * 1024
const MOST_CUTS = 1000
/** Less than this is not worth a second look at the structure. */
export const LEAST_CUT_BYTES = 4096

/** Undefined where the message must be looked at as a whole. `cuts`: the bodies that the engine has decoded. */
export function skeletonOf(message: Octets, cuts: readonly Range[]): Octets | undefined {
  if (cuts.length > MOST_CUTS) return undefined
  const inOrder = cuts.toSorted((a, b) => a.from - b.from)
  const kept = rest(inOrder, message.sizeBytes)
  const sizeBytes = kept?.reduce((sum, { from, to }) => sum + to - from, 0) ?? 0
  if (!kept || sizeBytes > LARGEST_BYTES) return undefined
  const skeleton = Buffer.concat(kept.map(({ from, to }) => message.slice(from, to)))
  let end = 0
  const joints = kept.slice(0, -1).map(({ from, to }) => {
    end += to - from
    return end
  })
  return isByTheBook(skeleton.toString('latin1'), joints) ? inMemory(skeleton) : undefined
}

/** What lies between the ranges, before the first and behind the last; undefined where they overlap. */
export function rest(ranges: readonly Range[], sizeBytes: number): Range[] | undefined {
  const between: Range[] = []
  let at = 0
  for (const { from, to } of ranges) {
    if (from < at || to < from || to > sizeBytes) return undefined
    between.push({ from: at, to: from })
    at = to
  }
  return [...between, { from: at, to: sizeBytes }]
}
