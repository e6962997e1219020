// The canaries: EICAR, EICAR in a zip, GTUBE and a clean message, written where scanners can read them.
import { randomBytes } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import type { Message } from '../message.ts'

export const PROBES = ['eicar', 'eicar-zip', 'gtube', 'clean'] as const
export type ProbeName = (typeof PROBES)[number]

/** The EICAR test file and the Generic Test for Unsolicited Bulk Email, in halves: this file is neither. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*']
const GTUBE = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STA', 'NDARD-ANTI-UBE-TEST-EMAIL*C.34X']

/** Always the same octets: a scanner that learns from mail learns nothing from the second one. */
const CONTENTS: Record<ProbeName, () => string> = {
  eicar: () => withAttachment('eicar', 'canary.com', Buffer.from(EICAR.join(''))),
  'eicar-zip': () => withAttachment('eicar-zip', 'canary.zip', zip(Buffer.from(EICAR.join('')))),
  gtube: () => withText('gtube', GTUBE.join('')),
  clean: () =>
    withText('clean', 'A canary of the mail gateway: nothing in it, nothing to be found.'),
}

/** A documentation address: scanners often make exceptions for local ones. */
const CLIENT = { address: '192.0.2.1', port: 25, helo: 'canary.example' }

/** Writes it anew each time: what guards the disk against viruses may have taken it away. Rejects where it can't. */
export async function canaryMessage(folder: string, probe: ProbeName): Promise<Message> {
  const content = Buffer.from(CONTENTS[probe](), 'latin1')
  const file = path.join(folder, `${probe}.eml`)
  const aside = `${file}.${randomBytes(6).toString('hex')}`
  await mkdir(folder, { recursive: true })
  await writeFile(aside, content)
  await rename(aside, file)
  return {
    envelope: {
      id: `canary-${probe}`,
      receivedAt: Date.now(),
      client: CLIENT,
      reversePath: 'canary@canary.example',
      recipients: [{ address: 'canary@canary.example', domain: 'canary.example' }],
      eightBit: false,
      smtpUtf8: false,
      sizeBytes: content.length,
      sha256: '0'.repeat(64),
      kind: 'mail',
      fingerprint: probe,
    },
    content: { path: file, sizeBytes: content.length },
  }
}

const header = (probe: ProbeName): string[] => [
  'From: Canary <canary@canary.example>',
  'To: Canary <canary@canary.example>',
  `Subject: Canary: ${probe}`,
  'Date: Thu, 01 Jan 2026 00:00:00 +0000',
  `Message-ID: <${probe}@canary.example>`,
  'MIME-Version: 1.0',
]

const lines = (all: string[]): string => `${all.join('\r\n')}\r\n`

const withText = (probe: ProbeName, text: string): string =>
  lines([...header(probe), 'Content-Type: text/plain; charset=us-ascii', '', text])

const withAttachment = (probe: ProbeName, name: string, content: Buffer): string =>
  lines([
    ...header(probe),
    'Content-Type: multipart/mixed; boundary="=_canary"',
    '',
    '--=_canary',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'A canary of the mail gateway.',
    '--=_canary',
    `Content-Type: application/octet-stream; name="${name}"`,
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    content.toString('base64').replace(/.{76}(?=.)/g, '$&\r\n'),
    '--=_canary--',
  ])

/** One deflated entry, `canary.com` (APPNOTE.TXT §4.3). */
function zip(content: Buffer): Buffer {
  const name = Buffer.from('canary.com')
  const packed = deflateRawSync(content)
  const common = Buffer.alloc(26)
  common.writeUInt16LE(20, 0)
  common.writeUInt16LE(8, 4)
  common.writeUInt16LE(0x5c21, 8)
  common.writeUInt32LE(crc32(content), 10)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(content.length, 18)
  common.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, packed])
  const versionMadeBy = Buffer.from('PK\x01\x02\x14\x00', 'latin1')
  const central = Buffer.concat([versionMadeBy, common, Buffer.alloc(14), name])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, central, end])
}
