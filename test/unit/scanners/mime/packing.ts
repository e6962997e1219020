// Makes the archives that no program at hand makes: each as small as its format allows.
import { crc32, deflateRawSync } from 'node:zlib'
import { EICAR } from '../../../support/eicar.ts'

/** LZMA of literals only, with its end marker, behind lc=3 lp=0 pb=2 and a dictionary of 4 KB. */
export function lzma(content: Buffer): { properties: Buffer; packed: Buffer } {
  const out: number[] = []
  let [low, range, cache, cached] = [0, 0xffffffff, 0, 1]
  const shift = (): void => {
    if (low < 0xff000000 || low >= 2 ** 32) {
      const carry = low >= 2 ** 32 ? 1 : 0
      for (; cached > 0; cached--) {
        out.push((cache + carry) & 255)
        cache = 255
      }
      cache = Math.floor(low / 2 ** 24) & 255
    }
    cached++
    low = (low % 2 ** 24) * 256
  }
  const models = new Map<string, number>()
  const bit = (model: string, value: number): void => {
    const probability = models.get(model) ?? 1024
    const bound = (range >>> 11) * probability
    if (value === 0) range = bound
    else {
      low += bound
      range -= bound
    }
    models.set(
      model,
      value === 0 ? probability + ((2048 - probability) >> 5) : probability - (probability >> 5),
    )
    for (; range < 2 ** 24; range = (range << 8) >>> 0) shift()
  }
  const tree = (model: string, value: number, bits: number): void => {
    let node = 1
    for (let i = bits - 1; i >= 0; i--) {
      const next = (value >> i) & 1
      bit(`${model} ${node}`, next)
      node = node * 2 + next
    }
  }
  for (const [i, octet] of content.entries()) {
    bit(`match 0 ${i & 3}`, 0)
    tree(`literal ${(content[i - 1] ?? 0) >> 5}`, octet, 8)
  }
  const end = content.length & 3
  bit(`match 0 ${end}`, 1)
  bit('repeat 0', 0)
  bit('length choice', 0)
  tree(`length low ${end}`, 0, 3)
  tree('slot 0', 63, 6)
  for (let i = 0; i < 26; i++) {
    range >>>= 1
    low += range
    for (; range < 2 ** 24; range = (range << 8) >>> 0) shift()
  }
  for (let i = 0, node = 1; i < 4; i++, node = node * 2 + 1) bit(`align ${node}`, 1)
  for (let i = 0; i < 5; i++) shift()
  return { properties: Buffer.from('5d00100000', 'hex'), packed: Buffer.from(out) }
}

export function lzmaAlone(content: Buffer): Buffer {
  const { properties, packed } = lzma(content)
  return Buffer.concat([properties, Buffer.alloc(8, 255), packed])
}

export function lzip(content: Buffer): Buffer {
  const { packed } = lzma(content)
  const trailer = Buffer.alloc(20)
  trailer.writeUInt32LE(crc32(content), 0)
  trailer.writeUInt32LE(content.length, 4)
  return Buffer.concat([Buffer.from('LZIP\x01\x0c'), packed, trailer])
}

/** One entry packed in any way; `flags` 1 is encryption, `name` may be anything. */
export function zipOf(
  method: number,
  packed: Buffer,
  sizeBytes: number,
  name = 'a.com',
  flags = 0,
): Buffer {
  const common = Buffer.alloc(26)
  common.writeUInt16LE(63, 0)
  common.writeUInt16LE(flags, 2)
  common.writeUInt16LE(method, 4)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(sizeBytes, 18)
  common.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed])
  const directory = Buffer.concat([
    Buffer.from('PK\x01\x02\x3f\x00', 'latin1'),
    common,
    Buffer.alloc(14),
    Buffer.from(name),
  ])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, directory, end])
}

export function zipLzma(content: Buffer): Buffer {
  const { properties, packed } = lzma(content)
  const data = Buffer.concat([Buffer.from('10020500', 'hex'), properties, packed])
  return zipOf(14, data, content.length, 'a.com', 2)
}

/** 7zFormat.txt: one folder of one coder, whose id is given in hexadecimal digits. */
export function sevenZip(coder: string, packed: Buffer): Buffer {
  const id = Buffer.from(coder, 'hex')
  const header = Buffer.concat([
    Buffer.from([1, 4, 6, 0, 1, 9, 0x80 | (packed.length >> 8), packed.length & 255, 0]),
    Buffer.from([7, 11, 1, 0, 1, id.length]),
    id,
    Buffer.from([12, 68, 0, 0, 0]),
  ])
  const start = Buffer.alloc(20)
  start.writeBigUInt64LE(BigInt(packed.length), 0)
  start.writeBigUInt64LE(BigInt(header.length), 8)
  start.writeUInt32LE(crc32(header), 16)
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(start), 0)
  return Buffer.concat([Buffer.from('377abcaf271c0004', 'hex'), sum, start, packed, header])
}
export const sevenZipDeflate = (content: Buffer): Buffer =>
  sevenZip('040108', deflateRawSync(content))

export function tar(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, octet) => total + octet, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc(-content.length & 511), Buffer.alloc(1024)])
}

/** Bzip2, which nothing here packs: of EICAR, and of anything else as good as nothing. */
export const bzip2 = (payload: string): Buffer =>
  Buffer.from(payload === EICAR ? BZIP2_EICAR : BZIP2_OTHER, 'base64')
const BZIP2_EICAR =
  'QlpoOTFBWSZTWYZSy9MAAB8egCZ6BoBvZd9dAAIgAEiKaaAwg09IxqeieoRT1GhkZNGEwjT01N4ovxyQiAlQh+sHQQz7k5qim8zkxhLmdsm1AaIuqgzvsygDz1oZkBD3+LuSKcKEhDKWXpg='
const BZIP2_OTHER = 'QlpoOTFBWSZTWb68r/0AAAEBgCJGGAAgADEMAQ0xqcylZ4u5IpwoSF9eV/6A'
