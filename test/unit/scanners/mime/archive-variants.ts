// The battery's archives that the engine opens not at all, or not far enough.
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { storedEntries } from './archive-pieces.ts'
import * as B from './building.ts'
import * as P from './packing.ts'
import { rar4, rar5, stub } from './rar-packing.ts'

type Shapes = Record<string, (payload: string) => Buffer>
const octets = (text: string): Buffer => Buffer.from(text, 'latin1')
/** Of few different letters, so that what is packed shows nothing of the payload. */
const padded = (p: string): Buffer => octets(`${p.padEnd(2000, p)}`)

/** What people's programs really make. */
export const usualArchives: Shapes = {
  'zip with LZMA': p => B.attached(P.zipLzma(octets(p))),
  'zip with Zstandard': p => B.attached(P.zipOf(93, zstdCompressSync(padded(p)), 2000)),
  'zip with bzip2': p => B.attached(P.zipOf(12, P.bzip2(p), p.length)),
  'LZMA alone': p => B.attached(P.lzmaAlone(octets(p)), 'application/x-lzma; name=a.lzma'),
  lzip: p => B.attached(P.lzip(octets(p)), 'application/lzip; name=a.lz'),
  Zstandard: p => B.attached(zstdCompressSync(padded(p)), 'application/zstd; name=a.zst'),
  'bzip2 in two streams': p => B.attached(Buffer.concat([P.bzip2(''), P.bzip2(p)])),
  '7z with deflate': p => B.attached(P.sevenZipDeflate(octets(p))),
  tar: p => B.attached(P.tar('a.com', octets(p))),
  'tar in gzip': p => B.attached(gzipSync(P.tar('a.com', octets(p)))),
  'RAR 4, stored': p => B.attached(rar4(octets(p))),
  'RAR 5, stored': p => B.attached(rar5(octets(p))),
  'RAR in zip': p => B.attached(P.zipOf(8, deflateRawSync(rar5(octets(p))), 200, 'a.rar')),
  'zlib in zip': p => B.attached(P.zipOf(8, deflateRawSync(deflateSync(octets(p))), 80, 'a.bin')),
}

const oddMail = (p: string): Buffer => B.file('base64', B.b64(p).replace(/.{10}/g, '$&!'))
const oddPage = (p: string): Buffer =>
  octets(`<script>f=atob("${B.b64(p, 20).split(B.CRLF).join('"+"')}")</script>`)

export const archives: Shapes = {
  'RAR behind a stub': p => B.attached(Buffer.concat([stub(9_000), rar4(octets(p))])),
  'RAR by another name in a zip': p =>
    B.attached(P.zipOf(8, deflateRawSync(rar4(octets(p))), 200, 'a.txt')),
  'odd mail in a zip': p => B.attached(P.zipOf(8, deflateRawSync(oddMail(p)), 999, 'a.eml')),
  'odd mail stored in a zip': p => B.attached(P.zipOf(0, oddMail(p), oddMail(p).length, 'A.EML')),
  'odd mail in a zip in a mail in a zip': p =>
    B.attached(
      P.zipOf(
        8,
        deflateRawSync(B.attached(P.zipOf(8, deflateRawSync(oddMail(p)), 999, 'a.eml'))),
        999,
        'b.eml',
      ),
    ),
  'odd page in a zip': p => B.attached(P.zipOf(8, deflateRawSync(oddPage(p)), 999, 'a.html')),
  'odd page in gzip': p => B.attached(gzipSync(oddPage(p)), 'application/gzip; name=a.html.gz'),
  'odd mail in a tar': p => B.attached(P.tar('a.eml', oddMail(p))),
  'odd mail in tar in gzip': p => B.attached(gzipSync(P.tar('a.eml', oddMail(p)))),
  'odd mail in LZMA': p => B.attached(P.lzmaAlone(oddMail(p))),
  'lying zip in a zip': p =>
    B.attached(
      P.zipOf(
        8,
        deflateRawSync(Buffer.concat([B.oddZip('harmless', z => z), B.oddZip(p, z => z)])),
        999,
        'b.zip',
      ),
    ),
  'three zips one behind the other': p =>
    B.attached(
      Buffer.concat([
        B.oddZip('harmless', z => z),
        B.oddZip(p, z => z),
        B.oddZip('harmless', z => z),
      ]),
    ),
  'zip with an entry its directory hides': p => B.attached(storedEntries(p, 'hidden')),
  'zip whose directory names another method': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt16LE(0, z.indexOf('PK\x01\x02') + 10)
        return z
      }),
    ),
  'zip whose directory points beside': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt32LE(7, z.indexOf('PK\x01\x02') + 42)
        return z
      }),
    ),
  'zip whose end counts no entries': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt16LE(0, z.indexOf('PK\x05\x06') + 8)
        z.writeUInt16LE(0, z.indexOf('PK\x05\x06') + 10)
        return z
      }),
    ),
  'zip said to be zip64': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt32LE(0xffffffff, 18)
        z.writeUInt32LE(0xffffffff, z.indexOf('PK\x01\x02') + 20)
        return z
      }),
    ),
  'zip behind a picture': p =>
    B.attached(
      Buffer.concat([
        octets('\xff\xd8\xff\xe0\x00\x10JFIF\0'),
        Buffer.alloc(300, 7),
        B.oddZip(p, z => z),
      ]),
      'image/jpeg; name=a.jpg',
    ),
  'zip in front of text': p =>
    B.attached(Buffer.concat([B.oddZip(p, z => z), octets('text '.repeat(20_000))])),
  'gzip behind blanks': p => B.attached(Buffer.concat([octets('  \r\n\0'), gzipSync(padded(p))])),
  'gzip with junk behind': p =>
    B.attached(Buffer.concat([gzipSync(padded(p)), octets('junk'.repeat(50))])),
  'gzip cut off': p => B.attached(gzipSync(padded(p)).subarray(0, -6)),
  'gzip with a wrong sum': p => {
    const packed = gzipSync(padded(p))
    packed.writeUInt32LE(7, packed.length - 8)
    return B.attached(packed)
  },
  'Zstandard behind a skippable frame': p =>
    B.attached(
      Buffer.concat([
        Buffer.from('502a4d1804000000', 'hex'),
        Buffer.alloc(4),
        zstdCompressSync(padded(p)),
      ]),
    ),
  'two frames of Zstandard': p =>
    B.attached(Buffer.concat([zstdCompressSync(octets('harmless')), zstdCompressSync(padded(p))])),
  'LZMA with a wrong size': p => {
    const packed = P.lzmaAlone(octets(p))
    packed.writeUInt32LE(70_000, 5)
    packed.writeUInt32LE(0, 9)
    return B.attached(packed)
  },
  'zlib behind blanks': p => B.attached(Buffer.concat([octets(' \n'), deflateSync(padded(p))])),
}

/** Nobody can look into these: the twin is refused as well. */
export const lockedArchives: Shapes = {
  'encrypted zip': p => B.attached(P.zipOf(8, octets(p), 68, 'a.com', 1)),
  'zip encrypted with AES': p => B.attached(P.zipOf(99, octets(p), 68, 'a.com', 1)),
  'zip with PPMd': p => B.attached(P.zipOf(98, octets(p.slice(1)), 68)),
  'zip shrunk': p => B.attached(P.zipOf(1, octets(p.slice(1)), 68)),
  '7z with Deflate64': p => B.attached(P.sevenZip('040109', octets(p.slice(1)))),
  '7z with a filter for differences': p => B.attached(P.sevenZip('03', octets(p.slice(1)))),
  'encrypted 7z': p => B.attached(P.sevenZip('06f10701', octets(p.slice(1)))),
  'RAR 4, packed': p => B.attached(rar4(octets(p.slice(1)), { method: 3 })),
  'RAR 5, packed': p => B.attached(rar5(octets(p.slice(1)), { method: 3 })),
  'RAR, packed, behind a stub': p =>
    B.attached(Buffer.concat([stub(9_000), rar5(octets(p.slice(1)), { method: 3 })])),
  'RAR in volumes': p => B.attached(rar5(octets(p.slice(1)), { split: true })),
  'RAR with a password': p => B.attached(rar4(octets(p.slice(1)), { locked: 'file' })),
  'RAR with a password for its list': p => B.attached(rar5(octets(p.slice(1)), { locked: 'all' })),
  compress: p => B.attached(Buffer.concat([Buffer.from('1f9d90', 'hex'), octets(p.slice(1))])),
  LHA: p => B.attached(octets(`\x24\x33-lh5-${p.slice(1)}`)),
  ACE: p => B.attached(octets(`1234567**ACE**${p.slice(1)}`)),
}
