// Opens zip archives that lie about themselves, entry by local header, and what the engine can't open in honest ones.
import { constants, inflateRawSync } from 'node:zlib'
import { inflate } from './inflate.ts'
import { decodeLzma } from './lzma.ts'
import { createRoom, type Octets } from './octets.ts'
import { firstMark } from './rar.ts'
import { markBytes } from './rar-blocks.ts'
import type { Piece, Session } from './session.ts'

const LOCAL = Buffer.from('PK\x03\x04', 'latin1')
const CENTRAL = 0x02014b50
const END = 0x06054b50
const END_BYTES = 22
const CENTRAL_BYTES = 46
const LOCAL_BYTES = 30
const NAME_BYTES = 1_024
const COMMENT_BYTES = 65_535
const SEARCH_BYTES = 1024 * 1024
const ENCRYPTED = 1
/** Deflate64, bzip2, LZMA, Zstandard (once 20), XZ. */
const [DEFLATE64, BZIP2, LZMA, OLD_ZSTD, ZSTD, XZ] = [9, 12, 14, 20, 93, 95]
const OPENED_HERE = new Set([LZMA, OLD_ZSTD, ZSTD, XZ])
/** Shrunk, reduced, MP3, JPEG, WavPack, PPMd: neither the engine nor we can open these. */
const UNSUPPORTED = new Set([1, 2, 3, 4, 5, 94, 96, 97, 98])
const AES = 99
/** By its name: mail, pages, scripts and archives, which the engine reads, but not as forgivingly as their programs. */
const READ_BY_US =
  /\.(?:eml|mht(?:ml)?|msg|mbox|x?s?html?|svg|xsl|jse?|mjs|vb[es]|hta|wsf|rtf|doc|p7[ms]|dat|tnef|ics|vcf|uue?|hqx|bin|zip|rar|r\d\d|cbr|7z|gz|tgz|tar|bz2|lzma|lz|zst)$/i
export const isReadByUs = (name: string): boolean =>
  READ_BY_US.test(name) || !/\.\w{1,8}$/.test(name)
const LZMA_HEADER_BYTES = 4
/** So much of a deflated entry shows its first octets, and becomes no more than so much. */
const PEEK_BYTES = 1_024
const PEEKED_BYTES = 1_100_000
const PROGRAM = /\.(?:exe|com|scr)$/i
/** What stands before the archive in a self-extracting one is smaller. */
const STUB_BYTES = 1024 * 1024

type Entry = {
  name: string
  at: number
  method: number
  packedBytes: number
  flags: number
  data: number
}

export async function* openZip(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  const entries = budget.limits.archiveEntries
  const locals = await localHeaders(octets, session)
  if (locals[0]?.at === 0) noteWhatNobodyOpens(locals, session)
  if (locals.length === 0) return
  const honest = isHonest(octets, locals, entries)
  for (const [i, local] of locals.slice(0, entries).entries()) {
    if (budget.spent) return
    const next = locals[i + 1]?.at ?? octets.sizeBytes
    if (OPENED_HERE.has(local.method))
      yield* openEntry(octets.view(local.data, next), local, session)
    if (honest && (isReadByUs(local.name) || (await holdsRar(octets, local, session))))
      yield* openHonest(octets, local, next, session)
    if (!honest) yield* openInEveryWay(octets, local, next, session)
  }
  if (locals.length > entries && !honest) budget.stop('too-many')
}

function noteWhatNobodyOpens(locals: readonly Entry[], { budget }: Session): void {
  if (locals.some(({ flags, method }) => (flags & ENCRYPTED) !== 0 || method === AES))
    budget.note('encrypted-archive')
  if (locals.some(({ method }) => UNSUPPORTED.has(method))) budget.note('unsupported-archive')
}

/** Bzip2 and XZ data are files that the engine opens. */
async function* openEntry(
  data: Octets,
  { method }: Entry,
  session: Session,
): AsyncGenerator<Piece> {
  if (method === BZIP2 || method === XZ) yield { octets: data, as: 'file' }
  if (method === ZSTD || method === OLD_ZSTD)
    yield { octets: await inflate(data, 'zstd', session), as: 'file' }
  if (method !== LZMA) return
  const head = data.slice(0, LZMA_HEADER_BYTES)
  const from = LZMA_HEADER_BYTES + (head.length < LZMA_HEADER_BYTES ? 0 : head.readUInt16LE(2))
  const properties = data.slice(LZMA_HEADER_BYTES, from)
  const file = await decodeLzma(data.view(from, data.sizeBytes), properties, session)
  if (file) yield { octets: file, as: 'file' }
}

async function* openHonest(
  octets: Octets,
  { data, method }: Entry,
  next: number,
  session: Session,
): AsyncGenerator<Piece> {
  const packed = octets.view(data, next)
  if (method === 0) yield { octets: packed, as: 'file' }
  if (method === 8) yield { octets: await inflate(packed, 'raw', session), as: 'file' }
}

/**
 * Its first octets say so, whatever it is called, or it may be a self-extracting one: the engine may open the zip
 * and not that.
 */
async function holdsRar(
  octets: Octets,
  { data, method, name }: Entry,
  session: Session,
): Promise<boolean> {
  if (method !== 8) return false
  await session.budget.breathe()
  if (PROGRAM.test(name)) {
    const start = await inflate(octets.view(data, data + STUB_BYTES), 'raw', session)
    return (await firstMark(start, session)) !== undefined
  }
  try {
    const limits = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: PEEKED_BYTES }
    return markBytes(inflateRawSync(octets.slice(data, data + PEEK_BYTES), limits)) > 0
  } catch {
    return false
  }
}

/** Whatever is said of it, a reader that believes something else sees it deflated, or stored. */
async function* openInEveryWay(
  octets: Octets,
  local: Entry,
  next: number,
  session: Session,
): AsyncGenerator<Piece> {
  if (local.method === DEFLATE64) session.budget.note('unsupported-archive')
  if (local.method === BZIP2) yield* openEntry(octets.view(local.data, next), local, session)
  const inflated = await inflate(octets.view(local.data, octets.sizeBytes), 'raw', session)
  if (inflated.sizeBytes > 0) yield { octets: inflated, as: 'file' }
  if (local.method === 8 && inflated.sizeBytes > 0) return
  const sized = local.data + local.packedBytes
  yield { octets: octets.view(local.data, next), as: 'file' }
  if (local.packedBytes > 0 && sized < next)
    yield { octets: octets.view(local.data, sized), as: 'file' }
}

async function localHeaders(octets: Octets, { budget }: Session): Promise<Entry[]> {
  const most = budget.limits.archiveEntries
  const found: Entry[] = []
  const room = createRoom()
  for (let at = 0; at < octets.sizeBytes && found.length <= most; at += SEARCH_BYTES) {
    await budget.breathe()
    const window = octets.slice(at, at + SEARCH_BYTES + LOCAL_BYTES + NAME_BYTES, room)
    for (let i = window.indexOf(LOCAL); i >= 0; i = window.indexOf(LOCAL, i + 4)) {
      if (i >= SEARCH_BYTES || i + LOCAL_BYTES > window.length) break
      found.push({
        at: at + i,
        name: window.toString(
          'latin1',
          i + LOCAL_BYTES,
          i + LOCAL_BYTES + window.readUInt16LE(i + 26),
        ),
        flags: window.readUInt16LE(i + 6),
        method: window.readUInt16LE(i + 8),
        packedBytes: window.readUInt32LE(i + 18),
        data: at + i + LOCAL_BYTES + window.readUInt16LE(i + 26) + window.readUInt16LE(i + 28),
      })
      if (found.length > most) break
    }
  }
  return found
}

/** One directory, at the end, which names each local header from the first octet on, and says the same of each. */
function isHonest(octets: Octets, locals: readonly Entry[], most: number): boolean {
  const tailFrom = Math.max(0, octets.sizeBytes - END_BYTES - COMMENT_BYTES)
  const tail = octets.slice(tailFrom, octets.sizeBytes)
  const end = tail.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  if (end < 0 || end + END_BYTES > tail.length || tail.readUInt32LE(end) !== END) return false
  if (end + END_BYTES + tail.readUInt16LE(end + 20) !== tail.length) return false
  const count = tail.readUInt16LE(end + 10)
  const [sizeBytes, from] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)]
  if (from + sizeBytes !== tailFrom + end || count > most) return false
  const directory = octets.slice(from, from + sizeBytes)
  const byOffset = new Map(locals.map(local => [local.at, local]))
  let reach = 0
  for (let at = 0, i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > directory.length || directory.readUInt32LE(at) !== CENTRAL)
      return false
    const local = byOffset.get(directory.readUInt32LE(at + 42))
    if (!local || local.at < reach || local.method !== directory.readUInt16LE(at + 10)) return false
    if (i === 0 && local.at !== 0) return false
    const packedBytes = directory.readUInt32LE(at + 20)
    // Bit 3: the sizes come after the data.
    if ((local.flags & 8) === 0 && local.packedBytes !== packedBytes) return false
    if (((local.flags ^ directory.readUInt16LE(at + 8)) & ENCRYPTED) !== 0) return false
    // Another local header between two entries is one that the directory hides.
    if (locals.some(other => other.at >= reach && other.at < local.at)) return false
    reach = local.data + packedBytes
    // Sizes that are elsewhere (zip64), or nowhere.
    if (reach > from) return false
    at += CENTRAL_BYTES + lengthsAt(directory, at)
  }
  return count > 0 && !locals.some(other => other.at >= reach)
}

/** Name, extra field and comment. */
const lengthsAt = (directory: Buffer, at: number): number =>
  directory.readUInt16LE(at + 28) +
  directory.readUInt16LE(at + 30) +
  directory.readUInt16LE(at + 32)
