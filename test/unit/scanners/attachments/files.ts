// Files of many kinds, as small as they can be and still be one.
import { deflateRawSync, gzipSync } from 'node:zlib'
import { zip } from '../../../support/eicar.ts'

const at = (size: number, ...writes: [number, Buffer | string][]): Buffer => {
  const buffer = Buffer.alloc(size)
  for (const [from, what] of writes) Buffer.from(what as string, 'latin1').copy(buffer, from)
  return buffer
}
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const dos = (magic: string): Buffer =>
  at(512, [0, 'MZ'], [2, hex('5000 0200')], [8, hex('0400')], [60, hex('80000000')], [128, magic])
const wide = (text: string): Buffer => Buffer.from(text, 'utf16le')
export const ole = (...writes: [number, Buffer | string][]): Buffer =>
  at(4096, [0, hex('d0cf11e0a1b11ae1')], [30, hex('0900')], ...writes)

/** A module as VBA stores it, in literal tokens: eight behind each flag octet. */
export function module(text: string): Buffer {
  const whole = `Attribute VB_Name = "A"\r\n${text}`
  const groups = whole.match(/[\s\S]{1,8}/g) ?? []
  const data = Buffer.from(groups.map(group => `\0${group}`).join(''), 'latin1')
  const header = Buffer.alloc(3)
  header[0] = 1
  header.writeUInt16LE(0xb000 | (data.length - 1), 1)
  return Buffer.concat([header, data])
}

/** A zip of several files. */
export function zipOf(
  files: Record<string, Buffer | string>,
  method: 'stored' | 'deflated' = 'deflated',
): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text as string, 'latin1')
    const packed = method === 'deflated' ? deflateRawSync(content) : content
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(method === 'deflated' ? 8 : 0, 4)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, rest, Buffer.from(name))
    locals.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(locals.length, 8)
  end.writeUInt16LE(locals.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, central, end])
}

export function tarOf(files: Record<string, string | Buffer>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text as string, 'latin1')
    const header = at(
      512,
      [0, name],
      [124, content.length.toString(8).padStart(11, '0')],
      [156, '0'],
      [257, 'ustar'],
    )
    return [header, content, Buffer.alloc(-content.length & 511)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

export const PE = dos('PE\0\0')
const vba = (source: string): Buffer => ole([1024, wide('_VBA_PROJECT')], [2048, module(source)])
const contentTypes = { '[Content_Types].xml': '<Types/>', 'word/document.xml': '<w/>' }
const entry = (name: string, start: number): Buffer =>
  at(128, [0, wide(`${name}\0`)], [116, at(4, [0, Buffer.from([start])])])

/** By the kind that each of them is. */
export const FILES: Record<string, Buffer[]> = {
  'windows-executable': [PE, dos('NE'), dos('LE'), dos('LX'), dos('')],
  elf: [hex('7f454c46 02 01 01 00'), hex('7f454c46 01 02 01 00')],
  'mach-o': [hex('cffaedfe 07000001'), hex('feedface 00000012'), hex('cafebabe 00000002')],
  script: [Buffer.from('#!/bin/sh\necho\n'), Buffer.from('#! /usr/bin/env node\n')],
  shortcut: [
    hex('4c000000 01140200 00000000 c0000000 00000046 00000000'),
    Buffer.from('[InternetShortcut]\r\nURL=https://example.org/\r\n'),
    Buffer.from('[Desktop Entry]\nExec=sh\n'),
  ],
  onenote: [at(64, [0, hex('e4525c7b 8cd8a74d aeb15378 d02996d3')])],
  'disk-image': [
    at(40_000, [0x8001, 'CD001']),
    at(40_000, [0x8801, 'BEA01']),
    at(4096, [0, 'vhdxfile']),
    at(4096, [3584, 'conectix']),
  ],
  'office-macro': [
    vba('Sub Sum()\r\nEnd Sub'),
    zipOf({ ...contentTypes, 'word/vbaProject.bin': vba('Sub Sum()\r\nEnd Sub') }),
  ],
  'auto-run-macro': [
    vba('Sub AutoOpen()\r\nEnd Sub'),
    vba('Private Sub Document_Open()\r\nEnd Sub'),
    ole([1024, wide('_VBA_PROJECT')], [2048, 'Workbook_Open']),
    zipOf({ ...contentTypes, 'xl/vbaProject.bin': vba('Sub Workbook_Open()\r\nEnd Sub') }),
    zipOf({ ...contentTypes, 'xl/macrosheets/sheet1.xml': '<x/>' }),
  ],
  'encrypted-archive': [
    zip('a.txt', Buffer.from('secret'), 'stored', 'password'),
    Buffer.concat([
      Buffer.from('Rar!\x1a\x07\x01\x00', 'latin1'),
      hex('00000000 05 04 00 00 00 00 0000'),
    ]),
    Buffer.concat([
      Buffer.from('Rar!\x1a\x07\x00', 'latin1'),
      hex('0000 73 8000 0d00 000000000000'),
    ]),
    at(
      64,
      [0, '7z\xbc\xaf\x27\x1c'],
      [12, hex('0000000000000000 2000000000000000')],
      [32, hex('01 04 06 06f10701')],
    ),
  ],
  'encrypted-document': [
    ole([1024, wide('EncryptedPackage')]),
    ole([1024, entry('WordDocument', 3)], [2048, hex('eca5 0000 0000 0000 0000 0001')]),
    ole(
      [1024, entry('Workbook', 3)],
      [2048, hex('0908 1000 00000000000000000000000000000000 2f00')],
    ),
    Buffer.from(
      '%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<< /Root 1 0 R /Encrypt 5 0 R >>\n%%EOF',
    ),
  ],
}

/** Of the same look, and nothing of the kind. */
export const HARMLESS: Record<string, Buffer> = {
  'text that begins with MZ': Buffer.from(
    'MZ is the postal code of Mainz, more or less, as everybody knows who lives there.',
  ),
  'a Java class': hex('cafebabe 00000034 0000'),
  'a pdf': Buffer.from('%PDF-1.4\nno /Encryption here, /EncryptMetadata false\n%%EOF'),
  'a png': hex('89504e47 0d0a1a0a 0000000d 49484452'),
  'a docx': zipOf({ ...contentTypes, 'word/media/image1.png': '\x89PNG' }),
  'an odt': zipOf(
    { mimetype: 'application/vnd.oasis.opendocument.text', 'content.xml': '<x/>' },
    'stored',
  ),
  'an old doc': ole([1024, entry('WordDocument', 3)], [2048, hex('eca5 0000 0000 0000 0000 0000')]),
  'an old xls': ole(
    [1024, entry('Workbook', 3)],
    [2048, hex('0908 1000 00000000000000000000000000000000 4200')],
  ),
  'a zip with text': zipOf({ 'readme.txt': 'Hello', 'empty.txt': '', 'b.txt': 'x' }, 'stored'),
  'a tar.gz with sources': gzipSync(
    tarOf({ 'a/configure': '#!/bin/sh\n', 'a/main.c': 'int main;' }),
  ),
  'hash and exclamation': Buffer.from('#!important, says the style sheet'),
}
