// Looks at what a piece is, by its own octets, and opens it.
import { openApple } from './apple.ts'
import { openCms } from './cms.ts'
import { openCompressed, openPadded } from './compressed.ts'
import { noteEncrypted } from './encrypted.ts'
import { unravel } from './html.ts'
import { openMailbox } from './mailbox.ts'
import { readParts } from './parts.ts'
import { openPdf } from './pdf.ts'
import { openRar } from './rar.ts'
import { openRtf } from './rtf.ts'
import type { Piece, Session } from './session.ts'
import { openSevenZip } from './seven-zip.ts'
import { openTar } from './tar.ts'
import { openTnef } from './tnef.ts'
import { openZip } from './zip.ts'

/** Formats that hold no text a mail program would read: the engine opens them. */
const BINARY = [
  'PK\x03\x04',
  '\x89PNG\r\n',
  '\xff\xd8\xff',
  'GIF8',
  '%PDF-',
  '\xd0\xcf\x11\xe0',
  '\x1f\x8b',
  'Rar!',
  '7z\xbc\xaf',
  'ID3',
  'OggS',
  'BZh',
]
const PROBE_BYTES = 64
/** Less is looked at by the engine, but has no room for a field and what it describes, or for a blob. */
const LEAST_BYTES = 32

export async function* openPiece(piece: Piece, session: Session): AsyncGenerator<Piece> {
  const { octets } = piece
  if (octets.sizeBytes < LEAST_BYTES && piece.as !== 'message') return
  const probe = octets.slice(0, PROBE_BYTES).toString('latin1')
  if (probe.includes('%PDF-')) yield* openPdf(octets, session)
  if (probe.startsWith('\x78\x9f\x3e\x22')) yield* openTnef(octets, session)
  if (probe.startsWith('\x30')) yield* openCms(octets, session)
  if (/^\s*\{\\rt/.test(probe)) yield* openRtf(octets, session)
  if (piece.as !== 'message') {
    noteEncrypted(octets, session)
    yield* openZip(octets, session)
    yield* openSevenZip(octets, session)
    yield* openRar(octets, session)
    yield* openCompressed(octets, session)
    yield* openTar(octets, session)
    yield* openApple(octets, session)
    yield* openPadded(octets)
  }
  const isText = piece.as !== 'file' || !BINARY.some(magic => probe.startsWith(magic))
  if (!isText) return
  if (piece.as !== 'message') yield* openMailbox(octets, session)
  yield* readParts(piece, session)
  yield* unravel(piece, session)
}
