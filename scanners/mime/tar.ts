// Opens tar archives for the files in them that the engine reads less forgivingly than mail programs do.
import type { Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'
import { isReadByUs } from './zip.ts'

const BLOCK_BYTES = 512
const SIZE = /^[ 0]*([0-7]{1,11})[ \0]/

export async function* openTar(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  if (octets.slice(257, 262).toString('latin1') !== 'ustar') return
  let count = 0
  for (let at = 0; at + BLOCK_BYTES <= octets.sizeBytes && !budget.spent; ) {
    await budget.breathe()
    const header = octets.slice(at, at + BLOCK_BYTES).toString('latin1')
    const size = Number.parseInt(SIZE.exec(header.slice(124, 136))?.[1] ?? '', 8)
    if (Number.isNaN(size)) return
    const from = at + BLOCK_BYTES
    const name = header.slice(0, 100).replace(/\0.*$/s, '')
    if (++count > budget.limits.archiveEntries) return budget.stop('too-many')
    if (size > 0 && isReadByUs(name)) yield { octets: octets.view(from, from + size), as: 'file' }
    at = from + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES
  }
}
