// Files that clamd's own code finds odd, as small as they can be, each with room for something else in it.
import { deflateSync } from 'node:zlib'
import { module } from './attachments/files.ts'

const SECTOR_BYTES = 512
const [END, NONE, FAT] = [0xfffffffe, 0xffffffff, 0xfffffffd]

/** A compound file (MS-CFB): streams in the root, or in one storage where named `storage/stream`. */
function compound(streams: Record<string, Buffer>): Buffer {
  const [storage] = Object.keys(streams).map(name => name.split('/').toReversed()[1])
  const folders = storage === undefined ? ['Root Entry'] : ['Root Entry', storage]
  const names = [...folders, ...Object.keys(streams).map(name => name.split('/').at(-1) ?? '')]
  const directorySectors = Math.ceil(names.length / 4)
  const fat = [FAT, ...chain(1, directorySectors)]
  const directory = Buffer.alloc(directorySectors * SECTOR_BYTES)
  const data = Object.values(streams).map(padded)
  const first = folders.length
  for (const [n, name] of names.entries()) {
    const at = n * 128
    const content = Object.values(streams)[n - first]
    directory.write(name, at, 'utf16le')
    directory.writeUInt16LE(name.length * 2 + 2, at + 64)
    directory[at + 66] = n === 0 ? 5 : n < first ? 1 : 2
    directory[at + 67] = 1
    directory.writeUInt32LE(NONE, at + 68)
    directory.writeUInt32LE(content && n + 1 < names.length ? n + 1 : NONE, at + 72)
    directory.writeUInt32LE(n < first ? n + 1 : NONE, at + 76)
    directory.writeUInt32LE(content ? fat.length : END, at + 116)
    directory.writeUInt32LE(content?.length ?? 0, at + 120)
    if (content) fat.push(...chain(fat.length, padded(content).length / SECTOR_BYTES))
  }
  const table = Buffer.alloc(SECTOR_BYTES, 0xff)
  for (const [n, next] of fat.entries()) table.writeUInt32LE(next, n * 4)
  return Buffer.concat([header(), table, directory, ...data])
}

const chain = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, n) => (n === count - 1 ? END : from + n + 1))
const padded = (content: Buffer): Buffer =>
  Buffer.concat([content], Math.ceil(content.length / SECTOR_BYTES) * SECTOR_BYTES)

function header(): Buffer {
  const head = Buffer.alloc(SECTOR_BYTES, 0)
  head.write('d0cf11e0a1b11ae1', 'hex')
  for (const [at, value] of [
    [24, 0x3e],
    [26, 3],
    [28, 0xfffe],
    [30, 9],
    [32, 6],
  ] as const)
    head.writeUInt16LE(value, at)
  head.writeUInt32LE(1, 44)
  head.writeUInt32LE(1, 48)
  // No stream is too short for sectors of its own.
  head.writeUInt32LE(0, 56)
  head.writeUInt32LE(END, 60)
  head.writeUInt32LE(END, 68)
  head.fill(0xff, 76)
  head.writeUInt32LE(0, 76)
  return head
}

const record = (id: number, data: Buffer): Buffer => {
  const head = Buffer.alloc(6)
  head.writeUInt16LE(id)
  head.writeUInt32LE(data.length, 2)
  return Buffer.concat([head, data])
}

/** As MS-OVBA §2.4.1 packs it, in literal tokens. */
function literal(data: Buffer): Buffer {
  const groups: Buffer[] = []
  for (let at = 0; at < data.length; at += 8)
    groups.push(Buffer.from([0]), data.subarray(at, at + 8))
  const packed = Buffer.concat(groups)
  const head = Buffer.from([1, 0, 0])
  head.writeUInt16LE(0xb000 | (packed.length - 1), 1)
  return Buffer.concat([head, packed])
}

/** A VBA project with one module; `rest` in a stream of its own. */
export function vbaDocument(source: string, rest: Buffer = Buffer.from('a')): Buffer {
  const none = Buffer.alloc(0)
  const wide = Buffer.from('A', 'utf16le')
  const directory = Buffer.concat([
    record(0x0001, Buffer.from([1, 0, 0, 0])),
    record(0x0019, Buffer.from('A')),
    record(0x0047, wide),
    record(0x001a, Buffer.from('A')),
    record(0x0032, wide),
    record(0x001c, none),
    record(0x0048, none),
    record(0x0031, Buffer.alloc(4)),
    record(0x001e, Buffer.alloc(4)),
    record(0x002c, Buffer.alloc(2)),
    record(0x0021, none),
    record(0x002b, none),
  ])
  return compound({
    'VBA/_VBA_PROJECT': Buffer.from([0xcc, 0x61, 0xff, 0xff, 0, 0, 0]),
    'VBA/dir': literal(directory),
    'VBA/A': module(source),
    'VBA/rest': rest,
  })
}

/** A workbook with a sheet of Excel 4 macros; `rest` in a stream of its own. */
export function xlmWorkbook(rest: Buffer): Buffer {
  const biff = (id: number, data: number[]) =>
    Buffer.from([id & 255, id >> 8, data.length, 0, ...data])
  const begin = biff(0x809, [0, 6, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  const sheet = biff(0x85, [0, 0, 0, 0, 0, 1, 1, 0, 65])
  const workbook = Buffer.concat([begin, sheet, biff(0x0a, [])])
  return compound({ Workbook: workbook, rest })
}

/** A PDF that spells a common name oddly; what is given in it stands in a packed stream. */
export function oddPdf(content: Buffer): Buffer {
  const packed = deflateSync(content)
  const text = `%PDF-1.4\n1 0 obj\n<< /Length ${packed.length} /Filter /Fl#61te#44ecode >>\nstream\n`
  return Buffer.concat([
    Buffer.from(text),
    packed,
    Buffer.from('\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n'),
  ])
}

/** A PE file whose header says more sections than there can be, then what is given. */
export function brokenPe(rest: Buffer): Buffer {
  const head = Buffer.alloc(0x200)
  head.write('MZ', 'latin1')
  head.writeUInt32LE(0x80, 60)
  head.write('PE\0\0', 0x80, 'latin1')
  head.writeUInt16LE(0x14c, 0x84)
  head.writeUInt16LE(99, 0x86)
  head.writeUInt16LE(0xe0, 0x94)
  return Buffer.concat([head, rest])
}

export function brokenElf(rest: Buffer): Buffer {
  const head = Buffer.alloc(52)
  head.write('\x7fELF\x01\x01\x01', 'latin1')
  head.writeUInt16LE(2, 16)
  head.writeUInt16LE(3, 18)
  head.writeUInt32LE(1, 20)
  head.writeUInt32LE(0x1000, 24)
  head.writeUInt32LE(52, 28)
  head.writeUInt16LE(7, 42)
  head.writeUInt16LE(9999, 44)
  return Buffer.concat([head, rest])
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** Pictures that end or go on where they must not. */
export const BROKEN_MEDIA = {
  gif: (rest: Buffer) => Buffer.concat([Buffer.from('GIF89a'), hex('0100 0100 00 00 00 99'), rest]),
  png: (rest: Buffer) => Buffer.concat([hex('89504e470d0a1a0a ffffffff 49484452'), rest]),
  jpeg: (rest: Buffer) => Buffer.concat([hex('ffd8 ffe0 0002 ffdb ffff'), rest]),
  tiff: (rest: Buffer) =>
    Buffer.concat([hex('49492a00 08000000 0100 0001 0400 ffffff00 ffffff00 00000000'), rest]),
}
