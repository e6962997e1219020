// Opens single compressed files where the engine doesn't, or only the first of several one behind the other.
import { inflate } from './inflate.ts'
import { decodeLzma } from './lzma.ts'
import { type Octets, WINDOW_BYTES } from './octets.ts'
import type { Piece, Session } from './session.ts'

const PROBE_BYTES = 64
const ZSTD = Buffer.from('28b52ffd', 'hex')
const ALONE_HEADER_BYTES = 13
const GZIP_HEADER_BYTES = 16_384
const LZIP_HEADER_BYTES = 6
/** Of these we open none, and Debian's engine doesn't either: compress, LZ4, LHA, ACE, ALZ, StuffIt, zoo, ZPAQ. */
const UNSUPPORTED =
  /^(?:\x1f[\x9d\xa0]|\x04\x22\x4d\x18|[\s\S]{2}-lh[\d dsx]-|[\s\S]{7}\*\*ACE\*\*|ALZ\x01|SIT!|StuffIt |ZOO \d|zPQ|7kSt)/
/** The first block of a bzip2 stream; streams lie one behind the other where several processors made them. */
const BZIP2 = /BZh[1-9]1AY&SY/g
const STREAMS = 100
/** White space and NULs before a file of another type hide it from whoever looks at its first octets. */
const PADDING = /^[\s\0]+(?=[^\s\0])/
const PADDING_BYTES = 65_536

export async function* openCompressed(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const head = octets.slice(0, PROBE_BYTES)
  const probe = head.toString('latin1')
  if (UNSUPPORTED.test(probe)) session.budget.note('unsupported-archive')
  if (/^[\x08\x18\x28\x38\x48\x58\x68\x78]/.test(probe) && head.readUInt16BE(0) % 31 === 0)
    yield { octets: await inflate(octets.view(2, octets.sizeBytes), 'raw', session), as: 'file' }
  if (probe.startsWith('\x1f\x8b')) yield* openGzip(octets, session)
  if (head.indexOf(ZSTD) === 0 || /^[\x50-\x5f]\x2a\x4d\x18/.test(probe))
    yield { octets: await inflate(octets, 'zstd', session), as: 'file' }
  if (probe.startsWith('LZIP')) yield* openLzip(octets, session)
  else yield* openAlone(octets, head, session)
  if (/^(?:BZh|7z\xbc\xaf)/.test(probe)) yield* furtherStreams(octets, session)
}

/** What lies behind padding is looked at as if it came alone. */
export function* openPadded(octets: Octets): Generator<Piece> {
  if (!/^[\s\0]/.test(octets.slice(0, 1).toString('latin1'))) return
  const text = octets.slice(0, PADDING_BYTES).toString('latin1')
  const padding = PADDING.exec(text)?.[0].length ?? 0
  const isBinary =
    /^(?:\x1f\x8b|BZh|7z\xbc|Rar!|\xfd7zXZ|LZIP|\x28\xb5\x2f\xfd|PK\x03\x04|\x78[\x01\x5e\x9c\x9f\xda]|\{\\rt)/
  if (padding > 0 && isBinary.test(text.slice(padding, padding + 8)))
    yield { octets: octets.view(padding, octets.sizeBytes), as: 'file' }
}

/** RFC 1952, the first member whatever is wrong behind it; and all of them where nothing is. */
async function* openGzip(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const head = octets.slice(0, GZIP_HEADER_BYTES)
  const flags = head[3] ?? 0
  let at = 10
  if ((flags & 4) !== 0 && head.length > 12) at += 2 + head.readUInt16LE(10)
  for (const flag of [8, 16]) if ((flags & flag) !== 0) at = head.indexOf(0, at) + 1
  if ((flags & 2) !== 0) at += 2
  const first = await inflate(octets.view(at, octets.sizeBytes), 'raw', session)
  yield { octets: first, as: 'file' }
  const all = await inflate(octets, 'gzip', session)
  if (all.sizeBytes > first.sizeBytes) yield { octets: all, as: 'file' }
}

async function* openLzip(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const coded = octets.slice(0, LZIP_HEADER_BYTES)[5] ?? 0
  const base = 2 ** (coded & 31)
  const properties = Buffer.alloc(5, 93)
  properties.writeUInt32LE(Math.min(0xffffffff, base - (base / 16) * (coded >> 5)), 1)
  const packed = octets.view(LZIP_HEADER_BYTES, octets.sizeBytes)
  const file = await decodeLzma(packed, properties, session)
  if (file) yield { octets: file, as: 'file' }
}

/** It has no magic number: a dictionary of a usual size, and a size unknown or not absurd, tell it. */
async function* openAlone(octets: Octets, head: Buffer, session: Session): AsyncGenerator<Piece> {
  if (head.length < ALONE_HEADER_BYTES + 5 || (head[0] ?? 255) >= 225) return
  const dictionary = head.readUInt32LE(1)
  const isUsual = dictionary >= 4096 && (dictionary & (dictionary - 1)) === 0
  const isThreeHalves =
    (dictionary / 3) % 1 === 0 && ((dictionary / 3) & (dictionary / 3 - 1)) === 0
  const high = head.readUInt32LE(9)
  const isUnknown = high === 0xffffffff && head.readUInt32LE(5) === 0xffffffff
  if (!(isUsual || isThreeHalves) || !(isUnknown || high === 0) || head[ALONE_HEADER_BYTES] !== 0)
    return
  const packed = octets.view(ALONE_HEADER_BYTES, octets.sizeBytes)
  const size = isUnknown ? Number.POSITIVE_INFINITY : head.readUInt32LE(5)
  const file = await decodeLzma(packed, head.subarray(0, 5), session, size)
  if (file) yield { octets: file, as: 'file' }
}

/** Each as a file of its own: the engine opens one, and stops. */
async function* furtherStreams(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  let count = 0
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    await budget.breathe()
    const text = octets.slice(at, at + WINDOW_BYTES + 9).toString('latin1')
    for (const { index } of text.matchAll(BZIP2)) {
      if (at + index === 0 || index >= WINDOW_BYTES) continue
      if (++count > STREAMS) return budget.note('too-many')
      yield { octets: octets.view(at + index, octets.sizeBytes), as: 'file' }
    }
  }
}
