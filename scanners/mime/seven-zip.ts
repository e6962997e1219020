// Looks into the header of a 7z archive for ways of packing that the engine can't open; what it can is left to it.
import { inflate } from './inflate.ts'
import { decodeLzma } from './lzma.ts'
import type { Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

const MAGIC = Buffer.from('377abcaf271c', 'hex')
const START_BYTES = 32
const HEADER_BYTES = 1024 * 1024
const ENCODED_HEADER = 0x17
/** Where a header tells of its folders: their number, kept within it, and each one's coders. */
const FOLDERS = 0x0b
const MOST_FOLDERS = 1_000
const MOST_CODERS = 4
/** Copy, LZMA, LZMA2, PPMd, BCJ; and BCJ2, but only with three coders behind it. */
const OPENED = new Set(['00', '030101', '21', '030401', '03030103'])
const BCJ2 = '0303011b'
const AES = '06f10701'
const DEFLATE = '040108'

export async function* openSevenZip(octets: Octets, session: Session): AsyncGenerator<Piece> {
  if (!octets.slice(0, MAGIC.length).equals(MAGIC)) return
  const start = octets.slice(0, START_BYTES)
  // Cut off: nobody finds its header.
  if (start.length < START_BYTES || headerPlace(start).to > octets.sizeBytes) return
  const header = await headerOf(octets, start, session)
  const coders = header && codersOf(header)
  if (!coders) return session.budget.note('unsupported-archive')
  if (coders.includes(AES)) session.budget.note('encrypted-archive')
  const others = coders.filter(coder => coder !== AES && !OPENED.has(coder))
  // A folder of one coder only, which packs to where any reader finds it.
  const simple = coders.length === 1 ? others[0] : undefined
  if (simple === DEFLATE)
    yield {
      octets: await inflate(octets.view(START_BYTES, octets.sizeBytes), 'raw', session),
      as: 'file',
    }
  // Bzip2 streams are found by their own beginnings.
  else if (others.length > 0 && simple !== '040202') session.budget.note('unsupported-archive')
}

/** 7zFormat.txt: the header, or where it is packed itself, what it is packed into. */
async function headerOf(
  octets: Octets,
  start: Buffer,
  session: Session,
): Promise<Buffer | undefined> {
  const { from, to } = headerPlace(start)
  if (to === from) return Buffer.from([1, FOLDERS, 0])
  if (to - from > HEADER_BYTES) return undefined
  const header = octets.slice(from, to)
  if (header[0] !== ENCODED_HEADER) return Buffer.from(header)
  const place = packedAt(header)
  const coders = codersOf(header)
  if (coders?.includes(AES)) return header
  if (!place || coders?.length !== 1) return undefined
  const at = header.indexOf(Buffer.from('23030101', 'hex'))
  if (at < 0) return undefined
  const properties = header.subarray(at + 5, at + 10)
  const packed = octets.view(START_BYTES + place.from, START_BYTES + place.from + place.size)
  const decoded = await decodeLzma(packed, properties, session)
  return decoded?.slice(0, HEADER_BYTES)
}

function headerPlace(start: Buffer): { from: number; to: number } {
  const from = START_BYTES + Number(start.readBigUInt64LE(12))
  return { from, to: from + Number(start.readBigUInt64LE(20)) }
}

/** PackInfo: position, number of streams (one), and its size. */
function packedAt(header: Buffer): { from: number; size: number } | undefined {
  if (header[1] !== 0x06) return undefined
  const from = numberAt(header, 2)
  const count = numberAt(header, from.next)
  if (count.value !== 1 || header[count.next] !== 0x09) return undefined
  return { from: from.value, size: numberAt(header, count.next + 1).value }
}

/** The ids of all coders of all folders, in hexadecimal digits; undefined where they can't be understood. */
function codersOf(header: Buffer): string[] | undefined {
  const folders = header.indexOf(Buffer.from([0x07, FOLDERS]))
  if (folders < 0)
    return header.includes(Buffer.from([0x05])) || header[1] === FOLDERS ? [] : undefined
  const count = numberAt(header, folders + 2)
  let at = count.next + 1
  const found: string[] = []
  if (header[count.next] !== 0 || count.value > MOST_FOLDERS) return undefined
  for (let folder = 0; folder < count.value; folder++) {
    const coders = header[at++] ?? 255
    if (coders === 0 || coders > MOST_CODERS) return undefined
    let [inputs, outputs] = [0, 0]
    for (let i = 0; i < coders; i++) {
      const flags = header[at++] ?? 0
      const idBytes = flags & 0x0f
      const id = header.toString('hex', at, at + idBytes)
      if (id !== BCJ2 || coders !== MOST_CODERS) found.push(id)
      at += idBytes
      const isSimple = (flags & 0x10) === 0
      inputs += isSimple ? 1 : (header[at++] ?? 0)
      outputs += isSimple ? 1 : (header[at++] ?? 0)
      if ((flags & 0x20) !== 0) {
        const properties = numberAt(header, at)
        at = properties.next + properties.value
      }
      if (at > header.length) return undefined
    }
    const packed = inputs - (outputs - 1)
    at += 2 * (outputs - 1) + (packed > 1 ? packed : 0)
  }
  return found
}

/** A number whose first octet's leading ones tell how many follow. */
function numberAt(header: Buffer, at: number): { value: number; next: number } {
  const first = header[at] ?? 0
  let value = 0
  for (let i = 0, mask = 0x80; i < 8; i++, mask >>= 1) {
    if ((first & mask) === 0) {
      const high = first & (mask - 1)
      return { value: value + high * 2 ** (8 * i), next: at + 1 + i }
    }
    value += (header[at + 1 + i] ?? 0) * 2 ** (8 * i)
  }
  return { value, next: at + 9 }
}
