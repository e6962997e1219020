// Opens what Macintosh programs wrap files in: BinHex (RFC 1741), AppleSingle and AppleDouble (RFC 1740), MacBinary.
import { inMemory, type Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

const BINHEX_BEGIN = /\(This file (?:must be converted with|is in) BinHex[^\n]{0,80}\s{0,100}:/gi
const BINHEX_BYTES = 16 * 1024 * 1024
const ALPHABET = '!"#$%&\'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr'
const REPEAT = 0x90
const SIX_BITS = new Int8Array(256).fill(-1)
for (const [value, letter] of [...ALPHABET].entries()) SIX_BITS[letter.charCodeAt(0)] = value

const APPLE = new Set([0x00051600, 0x00051607])
const ENTRIES = 20
const MACBINARY_BYTES = 128
const [NAME_BYTES, DATA_LENGTH, RESOURCE_LENGTH] = [63, 83, 87]

export async function* openApple(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const head = octets.slice(0, MACBINARY_BYTES)
  if (head.length < 26) return
  if (APPLE.has(head.readUInt32BE(0))) yield* openSingle(octets)
  else if (isMacBinary(head, octets.sizeBytes)) {
    const data = MACBINARY_BYTES + head.readUInt32BE(DATA_LENGTH)
    yield { octets: octets.view(MACBINARY_BYTES, data), as: 'file' }
    const from = Math.ceil(data / MACBINARY_BYTES) * MACBINARY_BYTES
    yield { octets: octets.view(from, from + head.readUInt32BE(RESOURCE_LENGTH)), as: 'file' }
  }
  yield* openBinHex(octets, session)
}

/** A directory of entries: id, offset and length of each. */
function* openSingle(octets: Octets): Generator<Piece> {
  const count = octets.slice(24, 26).readUInt16BE(0)
  for (let i = 0; i < Math.min(count, ENTRIES); i++) {
    const entry = octets.slice(26 + 12 * i, 38 + 12 * i)
    if (entry.length < 12) return
    const from = entry.readUInt32BE(4)
    yield { octets: octets.view(from, from + entry.readUInt32BE(8)), as: 'file' }
  }
}

function isMacBinary(head: Buffer, sizeBytes: number): boolean {
  if (head.length < MACBINARY_BYTES || head[0] !== 0 || head[74] !== 0 || head[82] !== 0)
    return false
  const name = head[1] ?? 0
  if (name < 1 || name > NAME_BYTES || head.subarray(2, 2 + name).some(octet => octet < 32))
    return false
  const data = head.readUInt32BE(DATA_LENGTH)
  return data > 0 && MACBINARY_BYTES + data <= sizeBytes
}

async function* openBinHex(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  const start = octets.slice(0, 1024).toString('latin1')
  if (!start.includes('BinHex')) return
  const text = octets.slice(0, BINHEX_BYTES).toString('latin1')
  for (const { index, 0: begin } of text.matchAll(BINHEX_BEGIN)) {
    await budget.breathe()
    const plain = expanded(sixBits(text, index + begin.length))
    // Name, version, type, creator and flags, then the lengths of both forks, and a checksum.
    const from = 1 + (plain[0] ?? 0) + 1 + 4 + 4 + 2
    if (from + 10 > plain.length) continue
    const data = from + 10 + plain.readUInt32BE(from)
    yield { octets: inMemory(plain.subarray(from + 10, data)), as: 'file' }
    yield { octets: inMemory(plain.subarray(data + 2)), as: 'file' }
  }
}

function sixBits(text: string, from: number): Buffer {
  const out = Buffer.alloc(Math.ceil(((text.length - from) * 3) / 4))
  let [bits, held, count] = [0, 0, 0]
  for (let i = from; i < text.length && text[i] !== ':'; i++) {
    const value = SIX_BITS[text.charCodeAt(i) & 0xff] ?? -1
    if (value < 0) continue
    bits = ((bits << 6) | value) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    out[count++] = bits >> held
  }
  return out.subarray(0, count)
}

/** An octet, 0x90 and a count stand for so many of it; a count of 0 for 0x90 itself. */
function expanded(packed: Buffer): Buffer {
  const out: Buffer[] = []
  let [size, last] = [0, 0]
  for (let i = 0; i < packed.length && size < BINHEX_BYTES; i++) {
    const octet = packed[i] ?? 0
    const count = octet === REPEAT ? (packed[++i] ?? 0) : 1
    if (octet !== REPEAT) last = octet
    if (octet === REPEAT && count === 0) last = REPEAT
    const times = octet !== REPEAT || count === 0 ? 1 : count - 1
    out.push(Buffer.alloc(times, last))
    size += times
  }
  return Buffer.concat(out)
}
