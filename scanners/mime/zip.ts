// Opens zip archives that lie about themselves, entry by local header; the engine opens the honest ones.
import { inflate } from './inflate.ts'
import type { Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

const LOCAL = Buffer.from('PK\x03\x04', 'latin1')
const CENTRAL = 0x02014b50
const END = 0x06054b50
const END_BYTES = 22
const CENTRAL_BYTES = 46
const LOCAL_BYTES = 30
const COMMENT_BYTES = 65_535
const SEARCH_BYTES = 1024 * 1024
const ENTRIES = 5_000
const ENCRYPTED = 1
/** Shrunk, reduced, LZMA, Zstandard, MP3, XZ, JPEG, WavPack, PPMd: neither the engine nor we can open these. */
const UNSUPPORTED = new Set([1, 2, 3, 4, 5, 14, 20, 93, 94, 95, 96, 97, 98])

type Entry = { at: number; method: number; packedBytes: number; flags: number; data: number }

export async function* openZlib(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const head = octets.slice(0, 2)
  if (head.length < 2 || head.readUInt16BE(0) % 31 !== 0) return
  yield { octets: await inflate(octets, 'zlib', session), as: 'file' }
}

export async function* openZip(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  const locals = await localHeaders(octets, session)
  if (locals[0]?.at === 0 && locals.some(local => UNSUPPORTED.has(local.method)))
    budget.note('unsupported-archive')
  if (locals.length === 0 || isHonest(octets, locals)) return
  for (const [i, local] of locals.slice(0, ENTRIES).entries()) {
    if (budget.spent) return
    const next = locals[i + 1]?.at ?? octets.sizeBytes
    const toEnd = octets.view(local.data, octets.sizeBytes)
    const inflated = await inflate(toEnd, 'raw', session)
    if (inflated.sizeBytes > 0) yield { octets: inflated, as: 'file' }
    if (local.method === 8 && inflated.sizeBytes > 0) continue
    const sized = local.data + local.packedBytes
    yield { octets: octets.view(local.data, next), as: 'file' }
    if (local.packedBytes > 0 && sized < next)
      yield { octets: octets.view(local.data, sized), as: 'file' }
  }
  if (locals.length > ENTRIES) budget.stop('too-many')
}

async function localHeaders(octets: Octets, { budget }: Session): Promise<Entry[]> {
  const found: Entry[] = []
  for (let at = 0; at < octets.sizeBytes && found.length <= ENTRIES; at += SEARCH_BYTES) {
    await budget.breathe()
    const window = octets.slice(at, at + SEARCH_BYTES + LOCAL_BYTES)
    for (let i = window.indexOf(LOCAL); i >= 0; i = window.indexOf(LOCAL, i + 4)) {
      if (i >= SEARCH_BYTES || i + LOCAL_BYTES > window.length) break
      found.push({
        at: at + i,
        flags: window.readUInt16LE(i + 6),
        method: window.readUInt16LE(i + 8),
        packedBytes: window.readUInt32LE(i + 18),
        data: at + i + LOCAL_BYTES + window.readUInt16LE(i + 26) + window.readUInt16LE(i + 28),
      })
      if (found.length > ENTRIES) break
    }
  }
  return found
}

/** One directory, at the end, which names each local header from the first octet on, and says the same of each. */
function isHonest(octets: Octets, locals: readonly Entry[]): boolean {
  const tailFrom = Math.max(0, octets.sizeBytes - END_BYTES - COMMENT_BYTES)
  const tail = octets.slice(tailFrom, octets.sizeBytes)
  const end = tail.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  if (end < 0 || end + END_BYTES > tail.length || tail.readUInt32LE(end) !== END) return false
  if (end + END_BYTES + tail.readUInt16LE(end + 20) !== tail.length) return false
  const count = tail.readUInt16LE(end + 10)
  const [sizeBytes, from] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)]
  if (from + sizeBytes !== tailFrom + end || count > ENTRIES) return false
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
    at += CENTRAL_BYTES + lengthsAt(directory, at)
  }
  return count > 0 && !locals.some(other => other.at >= reach)
}

/** Name, extra field and comment. */
const lengthsAt = (directory: Buffer, at: number): number =>
  directory.readUInt16LE(at + 28) +
  directory.readUInt16LE(at + 30) +
  directory.readUInt16LE(at + 32)
