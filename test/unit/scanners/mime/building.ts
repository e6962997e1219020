// Pieces from which the battery builds messages: fields, parts, encodings, containers.
import { deflateRawSync, deflateSync } from 'node:zlib'
import { zip } from '../../../support/eicar.ts'

export const CRLF = '\r\n'

export const wrap = (text: string, width = 76): string =>
  text.replace(new RegExp(`.{${width}}(?=.)`, 'g'), `$&${CRLF}`)

export const b64 = (data: Buffer | string, width = 76): string =>
  wrap(Buffer.from(data as string, 'latin1').toString('base64'), width)

export const qp = (text: string): string =>
  [...text].map(c => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`).join('')

export const qpWrapped = (text: string): string =>
  qp(text).replace(/((?:=..){24})(?=.)/g, `$1=${CRLF}`)

export function uu(text: string, name = 'a.com'): string {
  const lines: string[] = []
  for (let at = 0; at < text.length; at += 45) {
    const piece = text.slice(at, at + 45)
    const groups = piece.padEnd(Math.ceil(piece.length / 3) * 3, '\0').match(/[\s\S]{3}/g) ?? []
    const body = groups.map(group => {
      const [a = 0, b = 0, c = 0] = [...group].map(each => each.charCodeAt(0))
      const bits = (a << 16) | (b << 8) | c
      return [18, 12, 6, 0].map(by => uuLetter((bits >> by) & 63)).join('')
    })
    lines.push(`${uuLetter(piece.length)}${body.join('')}`)
  }
  return [`begin 644 ${name}`, ...lines, '`', 'end'].join(CRLF)
}
const uuLetter = (bits: number): string => (bits === 0 ? '`' : String.fromCharCode(32 + bits))

export function yenc(text: string): string {
  const body = [...text].map(c => {
    const code = (c.charCodeAt(0) + 42) & 255
    const isCritical = [0, 10, 13, 61].includes(code)
    return isCritical ? `=${String.fromCharCode((code + 64) & 255)}` : String.fromCharCode(code)
  })
  return [
    `=ybegin line=128 size=${text.length} name=a.com`,
    body.join(''),
    `=yend size=${text.length}`,
  ].join(CRLF)
}

export const TOP = [
  'From: Alice <alice@sender.test>',
  'To: Bob <bob@example.org>',
  'Subject: A message',
  'Date: Tue, 24 Nov 2026 09:00:00 +0000',
  'Message-ID: <1@sender.test>',
  'MIME-Version: 1.0',
]

export const mail = (...lines: string[]): Buffer =>
  Buffer.from(`${[...TOP, ...lines].join(CRLF)}${CRLF}`, 'latin1')

export const FILE = 'Content-Type: application/octet-stream; name="a.com"'
export const BASE64 = 'Content-Transfer-Encoding: base64'

/** A multipart message: a short text, and the lines of one part. */
export const mixed = (part: string[], type = 'multipart/mixed; boundary="bb"', bb = 'bb'): Buffer =>
  mail(
    `Content-Type: ${type}`,
    '',
    'Preamble.',
    `--${bb}`,
    'Content-Type: text/plain',
    '',
    'See the attachment.',
    `--${bb}`,
    ...part,
    `--${bb}--`,
  )

export const file = (encoding: string, body: string): Buffer =>
  mixed([FILE, `Content-Transfer-Encoding: ${encoding}`, '', body])

export const html = (markup: string, encoding = '7bit'): Buffer =>
  mixed([
    'Content-Type: text/html; name="a.html"',
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    encoding === 'base64' ? b64(markup) : markup,
  ])

export const attached = (data: Buffer, type = 'application/octet-stream; name="a.bin"'): Buffer =>
  mixed([`Content-Type: ${type}`, BASE64, '', b64(data)])

export function tnef(payload: string): Buffer {
  const attribute = (id: number, data: Buffer): Buffer => {
    const head = Buffer.alloc(9)
    head.writeUInt8(2, 0)
    head.writeUInt32LE(id, 1)
    head.writeUInt32LE(data.length, 5)
    return Buffer.concat([head, data, Buffer.alloc(2)])
  }
  return Buffer.concat([
    Buffer.from('789f3e220100', 'hex'),
    attribute(0x00089006, Buffer.from('00000100', 'hex')),
    attribute(0x00069002, Buffer.alloc(14)),
    attribute(0x0006800f, Buffer.from(payload, 'latin1')),
  ])
}

const der = (tag: number, ...contents: Buffer[]): Buffer => {
  const body = Buffer.concat(contents)
  const length = Buffer.from([0x83, body.length >> 16, (body.length >> 8) & 255, body.length & 255])
  return Buffer.concat([Buffer.from([tag]), length, body])
}
const SIGNED = Buffer.from('06092a864886f70d010702', 'hex')
const COMPRESSED = Buffer.from('060b2a864886f70d0109100109', 'hex')
const DATA = Buffer.from('06092a864886f70d010701', 'hex')
const INDEFINITE = Buffer.from([0x80])
const END = Buffer.alloc(2)

export function cms(content: Buffer, how: 'definite' | 'pieces' | 'compressed'): Buffer {
  const version = Buffer.from('020101', 'hex')
  if (how === 'compressed')
    return der(
      0x30,
      COMPRESSED,
      der(0xa0, der(0x30, version, der(0x30, DATA, der(0xa0, der(4, deflateSync(content)))))),
    )
  if (how === 'definite')
    return der(
      0x30,
      SIGNED,
      der(0xa0, der(0x30, version, der(0x31), der(0x30, DATA, der(0xa0, der(4, content))))),
    )
  const tag = (value: number): Buffer => Buffer.concat([Buffer.from([value]), INDEFINITE])
  const pieces: Buffer[] = []
  for (let at = 0; at < content.length; at += 40) pieces.push(der(4, content.subarray(at, at + 40)))
  return Buffer.concat([
    tag(0x30),
    SIGNED,
    tag(0xa0),
    tag(0x30),
    version,
    der(0x31),
    tag(0x30),
    DATA,
    tag(0xa0),
    tag(0x24),
    ...pieces,
    END,
    END,
    END,
    END,
    END,
    END,
  ])
}

export function rtf(payload: string, between = ''): Buffer {
  const u32 = (value: number): Buffer => Buffer.from(new Uint32Array([value]).buffer)
  const name = (text: string): Buffer =>
    Buffer.concat([u32(text.length + 1), Buffer.from(`${text}\0`)])
  const data = Buffer.from(payload, 'latin1')
  const object = Buffer.concat([
    u32(0x501),
    u32(2),
    name('Package'),
    name(''),
    name(''),
    u32(data.length),
    data,
  ])
  const digits = object.toString('hex').replace(/.{32}/g, `$&${between}`)
  return Buffer.from(`{\\rtf1\\ansi{\\object\\objemb{\\*\\objdata ${digits}}}}`, 'latin1')
}

/** A zip with what is changed about it: bytes of the local header, or all of it. */
export function oddZip(payload: string, change: (archive: Buffer) => Buffer): Buffer {
  return change(zip('a.com', Buffer.from(payload, 'latin1')))
}
export const rawDeflate = (text: string): Buffer => deflateRawSync(Buffer.from(text, 'latin1'))
export const storedZip = (payload: string): Buffer =>
  zip('a.com', Buffer.from(payload, 'latin1'), 'stored')
