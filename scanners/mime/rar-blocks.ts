// Reads the blocks of a RAR archive of version 4 or 5: what it holds, and what of that needs no decompression.
import { crc32 } from 'node:zlib'
import type { Octets } from './octets.ts'
import type { Session } from './session.ts'

const RAR_4 = Buffer.from('Rar!\x1a\x07\x00', 'latin1')
const RAR_5 = Buffer.from('Rar!\x1a\x07\x01\x00', 'latin1')
/** More than a header with a name that anybody wants to read. */
const HEADER_BYTES = 4_096
const STORED_4 = 0x30
const [MAIN_4, FILE_4, SERVICE_4, END_4] = [0x73, 0x74, 0x7a, 0x7b]
const [MAIN_5, FILE_5, ENCRYPTION_5, END_5] = [1, 2, 4, 5]

export type RarEntry = {
  /** As it stands there, Latin-1. */
  name: string
  /** Where it is stored as it is. */
  content?: Octets
}

export type RarListing = {
  entries: RarEntry[]
  /** A password is needed, for a file or for the list of them. */
  isEncrypted: boolean
  /** A file goes on in another archive. */
  isSplit: boolean
  /** Every octet of it is understood, and nothing packed: without a password nobody finds more in it than `entries`. */
  isPlain: boolean
  /** There are more entries than were asked for. */
  more: boolean
}

type Block = {
  /** Without its data it goes so far; the data follow. */
  headerBytes: number
  dataBytes: number
  isEnd?: boolean
  isMain?: boolean
  isEncryption?: boolean
  isIntact: boolean
  file?: { name: string; isStored: boolean; isEncrypted: boolean; isSplit: boolean }
}

/** Octets of the mark at its beginning; 0 where there is none. */
export const markBytes = (head: Buffer): number =>
  [RAR_4, RAR_5].find(mark => head.subarray(0, mark.length).equals(mark))?.length ?? 0

/** Whether a mark within other octets has a first block behind it, as a program that looks for one asks. */
export function hasFirstBlock(head: Buffer): boolean {
  const bytes = markBytes(head)
  const block = blockOf(bytes, head.subarray(bytes))
  return block?.isMain === true || block?.isEncryption === true
}

/** Undefined where it is none. */
export async function listRar(
  octets: Octets,
  { budget }: Session,
  most: number,
): Promise<RarListing | undefined> {
  const from = markBytes(octets.slice(0, RAR_5.length))
  if (from === 0) return undefined
  const found: RarListing = {
    entries: [],
    isEncrypted: false,
    isSplit: false,
    isPlain: false,
    more: false,
  }
  let isPlain = true
  let at = from
  while (at < octets.sizeBytes && !budget.spent) {
    await budget.breathe()
    const block = blockOf(from, octets.slice(at, at + HEADER_BYTES))
    if (!block) return found
    const data = at + block.headerBytes
    isPlain &&= block.isIntact && data + block.dataBytes <= octets.sizeBytes
    if (block.isEncryption) return { ...found, isEncrypted: true, isPlain }
    if (block.file) {
      if (found.entries.length >= most) return { ...found, more: true }
      const { name, isStored, isEncrypted, isSplit } = block.file
      const isReadable = isStored && !isEncrypted
      found.entries.push(
        isReadable ? { name, content: octets.view(data, data + block.dataBytes) } : { name },
      )
      found.isEncrypted ||= isEncrypted
      found.isSplit ||= isSplit
      isPlain &&= isStored || isEncrypted
    } else isPlain &&= block.isMain === true || block.isEnd === true
    at = data + block.dataBytes
    if (block.isEnd) break
  }
  return { ...found, isPlain: isPlain && at === octets.sizeBytes }
}

/** Undefined where nothing more can be understood. */
const blockOf = (bytesOfMark: number, header: Buffer): Block | undefined =>
  bytesOfMark === RAR_4.length ? blockOf4(header) : blockOf5(header)

/** The technical note of RAR 4. */
function blockOf4(block: Buffer): Block | undefined {
  if (block.length < 7) return undefined
  const [type = 0, flags, headerBytes] = [block[2], block.readUInt16LE(3), block.readUInt16LE(5)]
  if (headerBytes < 7) return undefined
  const isFile = type === FILE_4 || type === SERVICE_4
  if (isFile && block.length < 32) return undefined
  const hasData = isFile || (flags & 0x8000) !== 0
  const isLarge = isFile && (flags & 0x100) !== 0 && block.length >= 40
  const common = {
    headerBytes,
    dataBytes:
      (hasData && block.length >= 11 ? block.readUInt32LE(7) : 0) +
      (isLarge ? block.readUInt32LE(32) * 2 ** 32 : 0),
    isEnd: type === END_4,
    isMain: type === MAIN_4,
    isEncryption: type === MAIN_4 && (flags & 0x80) !== 0,
    isIntact: (crc32(block.subarray(2, headerBytes)) & 0xffff) === block.readUInt16LE(0),
  }
  if (type !== FILE_4) return common
  const from = isLarge ? 40 : 32
  const name = block.toString('latin1', from, from + block.readUInt16LE(26)).replace(/\0.*$/s, '')
  return {
    ...common,
    file: {
      name,
      isStored: block[25] === STORED_4,
      isEncrypted: (flags & 4) !== 0,
      isSplit: (flags & 3) !== 0,
    },
  }
}

/** The technical note of RAR 5. */
function blockOf5(block: Buffer): Block | undefined {
  if (block.length < 7) return undefined
  const read = createNumbers(block, 4)
  const bytes = read.next()
  const headerBytes = read.at + bytes
  const [type, flags] = [read.next(), read.next()]
  const extraBytes = flags & 1 ? read.next() : 0
  const dataBytes = flags & 2 ? read.next() : 0
  if (bytes === 0 || bytes > 2 ** 21 || !Number.isSafeInteger(dataBytes)) return undefined
  const common = {
    headerBytes,
    dataBytes,
    isEnd: type === END_5,
    isMain: type === MAIN_5,
    isEncryption: type === ENCRYPTION_5,
    isIntact: crc32(block.subarray(4, headerBytes)) === block.readUInt32LE(0),
  }
  if (type !== FILE_5) return common
  const fileFlags = read.next()
  read.next()
  read.next()
  read.skip((fileFlags & 2 ? 4 : 0) + (fileFlags & 4 ? 4 : 0))
  const packing = read.next()
  read.next()
  const name = read.text(read.next())
  return {
    ...common,
    file: {
      name,
      isStored: ((packing >> 7) & 7) === 0,
      isEncrypted: isEncrypted(block.subarray(0, headerBytes), headerBytes - extraBytes),
      isSplit: (flags & 0x18) !== 0,
    },
  }
}

/** Among a file's extra records, the one of type 1. */
function isEncrypted(header: Buffer, from: number): boolean {
  for (let at = from; at > 0 && at < header.length; ) {
    const read = createNumbers(header, at)
    const bytes = read.next()
    const next = read.at + bytes
    if (read.next() === 1) return true
    at = next
  }
  return false
}

/** Numbers of seven bits an octet, lowest first. */
function createNumbers(buffer: Buffer, from: number) {
  let at = from
  return {
    get at() {
      return at
    },
    skip(count: number): void {
      at += count
    },
    text(length: number): string {
      const text = buffer.toString('latin1', at, at + length)
      at += length
      return text
    },
    next(): number {
      let value = 0
      for (let shift = 0; shift < 56 && at < buffer.length; shift += 7) {
        const octet = buffer[at++] ?? 0
        value += (octet & 0x7f) * 2 ** shift
        if (octet < 0x80) break
      }
      return value
    },
  }
}
