// Messages that scanners must find, or must let pass; the marks are split so that this file is none itself.
import { deflateRawSync, crc32 as zlibCrc32 } from 'node:zlib'

/** The EICAR test file: harmless, and found by every virus scanner. */
export const EICAR = [
  'X5O!P%@AP[4\\PZX54(P^)7CC)7}$EIC',
  'AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*',
].join('')

/** The Generic Test for Unsolicited Bulk Email: spam to rspamd and SpamAssassin alike. */
export const GTUBE = [
  'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STA',
  'NDARD-ANTI-UBE-TEST-EMAIL*C.34X',
].join('')

type Parts = { from?: string; to?: string; subject?: string; id?: string }

const fields = (p: Parts): string[] => [
  `From: Alice <${p.from ?? 'alice@sender.test'}>`,
  `To: Bob <${p.to ?? 'bob@example.org'}>`,
  `Subject: ${p.subject ?? 'A message'}`,
  'Date: Tue, 24 Nov 2026 09:00:00 +0000',
  `Message-ID: <${p.id ?? '20261124090000.1@sender.test'}>`,
  'MIME-Version: 1.0',
]

const message = (lines: string[]): Buffer => Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1')

const text = (p: Parts, body: string): Buffer =>
  message([...fields(p), 'Content-Type: text/plain; charset=us-ascii', '', body])

/** A clean message with a text body. */
export const plainMessage = (p: Parts & { body?: string } = {}): Buffer =>
  text(p, p.body ?? 'Nothing to see here.')

/** EICAR as the whole of a base64 attachment. */
export const eicarMessage = (p: Parts = {}): Buffer =>
  attachment(p, 'eicar.com', Buffer.from(EICAR))

/** EICAR in a zip archive, as a base64 attachment. */
export const eicarZipMessage = (p: Parts & { method?: ZipMethod } = {}): Buffer =>
  attachment(p, 'eicar.zip', zip('eicar.com', Buffer.from(EICAR), p.method))

/** GTUBE on a line of its own. */
export const gtubeMessage = (p: Parts = {}): Buffer => text(p, GTUBE)

/** A multipart message with one base64 attachment. */
export function attachment(p: Parts, name: string, content: Buffer): Buffer {
  const encoded = content.toString('base64').replace(/.{76}(?=.)/g, '$&\r\n')
  return message([
    ...fields(p),
    'Content-Type: multipart/mixed; boundary="=_part"',
    '',
    '--=_part',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'See the attachment.',
    '--=_part',
    `Content-Type: application/octet-stream; name="${name}"`,
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    encoded,
    '--=_part--',
  ])
}

export type ZipMethod = 'stored' | 'deflated'

/** A zip archive with one entry; `password` encrypts it in the old way (APPNOTE.TXT §6.1), always stored. */
export function zip(
  name: string,
  content: Buffer,
  method: ZipMethod = 'deflated',
  password?: string,
): Buffer {
  const crc = zlibCrc32(content)
  const deflated = method === 'deflated' && password === undefined
  const packed = deflated ? deflateRawSync(content) : content
  const data = password === undefined ? packed : encrypt(packed, crc, password)
  const common = Buffer.alloc(26)
  common.writeUInt16LE(20, 0)
  common.writeUInt16LE(password === undefined ? 0 : 1, 2)
  common.writeUInt16LE(deflated ? 8 : 0, 4)
  common.writeUInt16LE(0x5b78, 8)
  common.writeUInt32LE(crc, 10)
  common.writeUInt32LE(data.length, 14)
  common.writeUInt32LE(content.length, 18)
  common.writeUInt16LE(Buffer.byteLength(name), 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data])
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\x00', 'latin1'),
    common,
    Buffer.alloc(14),
    Buffer.from(name),
  ])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, central, end])
}

/** Traditional PKWARE encryption, with a fixed header: what "encrypted zip" means to most senders. */
function encrypt(content: Buffer, crc: number, password: string): Buffer {
  const keys: [number, number, number] = [0x12345678, 0x23456789, 0x34567890]
  const crcByte = (old: number, byte: number): number =>
    ~zlibCrc32(Buffer.from([byte]), ~old >>> 0) >>> 0
  const update = (byte: number): void => {
    keys[0] = crcByte(keys[0], byte)
    keys[1] = (Math.imul((keys[1] + (keys[0] & 0xff)) >>> 0, 134775813) + 1) >>> 0
    keys[2] = crcByte(keys[2], keys[1] >>> 24)
  }
  for (const byte of Buffer.from(password)) update(byte)
  const header = Buffer.alloc(12, 0x41)
  header[11] = crc >>> 24
  return Buffer.from(Buffer.concat([header, content])).map(byte => {
    const t = (keys[2] | 2) & 0xffff
    const out = byte ^ ((Math.imul(t, t ^ 1) >>> 8) & 0xff)
    update(byte)
    return out
  }) as Buffer
}
