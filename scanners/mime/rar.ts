// Opens RAR archives as far as nothing in them is packed, and says of the others that only an engine can open them.
import { createRoom, type Octets, WINDOW_BYTES } from './octets.ts'
import { hasFirstBlock, listRar, markBytes } from './rar-blocks.ts'
import type { Piece, Session } from './session.ts'

const MARK = Buffer.from('Rar!\x1a\x07', 'latin1')
const NEEDED_BYTES = 64
/** RAR 1.4, which WinRAR alone opens: `RE~^`, and the length of a header in two octets. */
const OLDEST = /^RE~\^[\x07-\xff]\0/

/**
 * Programs look for the mark behind whatever stands before it (self-extracting archives), and in an archive or
 * a disk image it stands behind other files.
 */
export async function* openRar(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  const head = octets.slice(0, NEEDED_BYTES)
  if (OLDEST.test(head.toString('latin1', 0, 8))) budget.note('unsupported-archive')
  if (markBytes(head) > 0) yield* openFromStart(octets, session)
  else {
    const at = await firstMark(octets, session)
    if (at !== undefined) yield { octets: octets.view(at, octets.sizeBytes), as: 'file' }
    // That there are more of them is seen where it is opened: its list does not go to its end.
  }
}

async function* openFromStart(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  const listing = await listRar(octets, session, budget.limits.archiveEntries)
  if (!listing) return
  if (listing.isEncrypted) budget.note('encrypted-archive')
  if (listing.isSplit) budget.note('unsupported-archive')
  if (!listing.isPlain) budget.note('rar')
  for (const { content } of listing.entries) if (content) yield { octets: content, as: 'file' }
}

/** Where the first archive in it starts; undefined where there is none. */
export async function firstMark(octets: Octets, { budget }: Session): Promise<number | undefined> {
  const room = createRoom()
  for (let at = 0; at < octets.sizeBytes && !budget.spent; at += WINDOW_BYTES) {
    await budget.breathe()
    const window = octets.slice(at, at + WINDOW_BYTES + NEEDED_BYTES, room)
    for (let i = window.indexOf(MARK); i >= 0 && i < WINDOW_BYTES; i = window.indexOf(MARK, i + 1))
      if (hasFirstBlock(window.subarray(i, i + NEEDED_BYTES))) return at + i
  }
  return undefined
}
