// Makes RAR archives of version 4 and 5, block by block: what no free program at hand makes.
import { crc32 } from 'node:zlib'

export type RarOptions = {
  name?: string
  /** 0: stored; 1 to 5: packed, better and better. */
  method?: number
  /** The password of a file, or of the whole list. */
  locked?: 'file' | 'all'
  /** The file goes on in the next volume. */
  split?: boolean
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

function block4(type: number, flags: number, body: Buffer): Buffer {
  const block = Buffer.concat([Buffer.alloc(7), body])
  block.writeUInt8(type, 2)
  block.writeUInt16LE(flags, 3)
  block.writeUInt16LE(block.length, 5)
  block.writeUInt16LE(crc32(block.subarray(2)) & 0xffff, 0)
  return block
}

export function rar4(content: Buffer, options: RarOptions = {}): Buffer {
  const { name = 'a.com', method = 0, locked, split } = options
  const about = Buffer.alloc(25)
  about.writeUInt32LE(content.length, 0)
  about.writeUInt32LE(content.length, 4)
  about.writeUInt32LE(crc32(content), 9)
  about.writeUInt8(20, 17)
  about.writeUInt8(0x30 + method, 18)
  about.writeUInt16LE(name.length, 19)
  const flags = 0x8000 | (locked === 'file' ? 4 : 0) | (split ? 2 : 0)
  return Buffer.concat([
    latin1('Rar!\x1a\x07\x00'),
    block4(0x73, locked === 'all' ? 0x80 : 0, Buffer.alloc(6)),
    block4(0x74, flags, Buffer.concat([about, latin1(name)])),
    content,
    block4(0x7b, 0x4000, Buffer.alloc(0)),
  ])
}

const number = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...number(value >>> 7)]

function block5(...fields: (number[] | Buffer)[]): Buffer {
  const body = Buffer.concat(fields.map(field => Buffer.from(field)))
  const header = Buffer.concat([Buffer.from(number(body.length)), body])
  return Buffer.concat([u32(crc32(header)), header])
}

export function rar5(content: Buffer, options: RarOptions = {}): Buffer {
  const { name = 'a.com', method = 0, locked, split } = options
  const lock = locked === 'file' ? Buffer.from([3, 1, 0, 0]) : Buffer.alloc(0)
  const flags = 2 | (lock.length > 0 ? 1 : 0) | (split ? 0x10 : 0)
  const size = number(content.length)
  const file = block5(
    [2, flags, ...(lock.length > 0 ? [lock.length] : []), ...size, 4, ...size, 0],
    u32(crc32(content)),
    [...number(method << 7), 0, ...number(name.length)],
    latin1(name),
    lock,
  )
  const encryption = locked === 'all' ? block5([4, 0, 0, 0, 15], Buffer.alloc(16, 7)) : ''
  return Buffer.concat([
    latin1('Rar!\x1a\x07\x01\x00'),
    Buffer.from(encryption),
    block5([1, 0, 0]),
    file,
    content,
    block5([5, 0, 0]),
  ])
}

/** What stands before a self-extracting one. */
export const stub = (sizeBytes: number): Buffer =>
  Buffer.concat([latin1('MZ'), Buffer.alloc(sizeBytes, 0x90)])
