// The battery's second round: encodings and character sets that only some programs undo.
import { gzipSync } from 'node:zlib'
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, FILE, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>
const octets = (text: string): Buffer => Buffer.from(text, 'latin1')
const HTML = 'Content-Type: text/html; name=a.html'
const page = (p: string): string => `<a href="data:x/y;base64,${b64(p, 1e9)}">x</a>`

/** UTF-7 of everything but letters, digits and blanks. */
const utf7 = (text: string): string =>
  text.replace(/[^A-Za-z0-9 \r\n]/g, c => {
    const wide = Buffer.from(c, 'utf16le').swap16().toString('base64').replace(/=+$/, '')
    return `+${wide}-`
  })

function binhex(payload: string): string {
  const alphabet = '!"#$%&\'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr'
  const head = Buffer.alloc(20)
  head.write('BINA????', 2)
  head.writeUInt32BE(payload.length, 12)
  const plain = Buffer.concat([
    octets('\x05a.com'),
    head.subarray(1),
    Buffer.alloc(2),
    octets(payload),
    Buffer.alloc(4),
  ])
  const bits = [...plain].map(octet => octet.toString(2).padStart(8, '0')).join('')
  const letters = (bits.match(/.{1,6}/g) ?? []).map(
    six => alphabet[Number.parseInt(six.padEnd(6, '0'), 2)],
  )
  return `(This file must be converted with BinHex 4.0)${CRLF}:${B.wrap(letters.join(''), 64)}:`
}

function appleDouble(payload: string, magic: number): Buffer {
  const head = Buffer.alloc(38)
  head.writeUInt32BE(magic, 0)
  head.writeUInt32BE(0x00020000, 4)
  head.writeUInt16BE(1, 24)
  head.writeUInt32BE(1, 26)
  head.writeUInt32BE(38, 30)
  head.writeUInt32BE(payload.length, 34)
  return Buffer.concat([head, octets(payload)])
}

function macBinary(payload: string): Buffer {
  const head = Buffer.alloc(128)
  head.write('\x05a.com', 1)
  head.writeUInt32BE(payload.length, 83)
  return Buffer.concat([head, octets(payload), Buffer.alloc(-payload.length & 127)])
}

/** A payload that only shows once the wrapping is off. */
const veiled = (p: string): string =>
  file('base64', b64(p).replace(/.{9}/g, '$&!')).toString('latin1')

const labels: Record<string, string> = {
  'and quoted-printable in one': 'base64 quoted-printable',
  'with a comment in a comment': '(a (b) c) base64',
  'with an unclosed comment': 'base64 (x',
  'in escapes': '"b\\ase64"',
  'with a trailing comma': 'base64,',
  'behind a semicolon': '; base64',
  'with a version': 'base64/1',
  'with a charset': 'base64; charset=us-ascii',
  'folded in front': `${CRLF}\tbase64`,
  'folded in the middle of nothing': `${CRLF} ${CRLF} base64`,
  'with a vertical tab': 'base64\x0b',
  'with a zero-width space': 'base64\xe2\x80\x8b',
  'behind a byte order mark': '\xef\xbb\xbfbase64',
  'as mime-b64': 'mime-b64',
  'in RFC 2231': "*=us-ascii''base64",
}

export const hostileLetters: Shapes = {
  ...Object.fromEntries(
    Object.entries(labels).map(([how, label]) => [
      `base64 label ${how}`,
      (p: string) => mixed([FILE, `Content-Transfer-Encoding: ${label}`, '', b64(p)]),
    ]),
  ),
  'base64 behind a byte order mark': p => file('base64', `\xef\xbb\xbf${b64(p)}`),
  'base64 between form feeds': p => file('base64', b64(p, 20).replaceAll(CRLF, `\f\v${CRLF}`)),
  'base64 with soft line breaks': p => file('base64', b64(p, 20).replaceAll(CRLF, `=${CRLF}`)),
  'base64 with equals signs in front of lines': p =>
    file('base64', b64(p, 20).replaceAll(CRLF, `${CRLF}=`)),
  'base64 after 1,000 blank lines': p => file('base64', CRLF.repeat(1000) + b64(p)),
  'base64 between PEM lines': p =>
    file('base64', `-----BEGIN FILE-----${CRLF}${b64(p)}${CRLF}-----END FILE-----`),
  'base64 in quotation marks': p => file('base64', `"${b64(p)}"`),
  'base64 with percents for padding': p => file('base64', b64(p).replaceAll('=', '%3D')),
  'base64 in quoted-printable': p =>
    mixed([FILE, 'Content-Transfer-Encoding: quoted-printable', BASE64, '', B.qpWrapped(b64(p))]),
  'base64 in UTF-16': p => file('base64', octets(b64(p)).toString('latin1').replace(/./g, '$&\0')),
  'quoted-printable with lines for single characters and tabs': p =>
    file('quoted-printable', B.qp(p).replace(/=../g, `$&=\t${CRLF}`)),
  'uuencode, mode of 5 digits': p => mail('', B.uu(p).replace('644', '00644')),
  'uuencode without a mode': p => mail('', B.uu(p).replace('644 ', '')),
  'uuencode with sum letters': p => mail('', B.uu(p).replace(/^([M7].*)$/gm, '$1X')),
  'uuencode, blanks cut off': p => mail('', B.uu(p).replace(/`+(?=\r\n)/g, '')),
  'uuencode behind a begin that is none': p =>
    mail('', `begin 644 nothing${CRLF}${CRLF}Well.${CRLF}${B.uu(p)}`),
  'uuencode in HTML': p => mixed([HTML, '', `<pre>${CRLF}${B.uu(p)}${CRLF}</pre>`]),
  'uuencode labelled base64': p => file('base64', B.uu(p)),
  'yEnc in two parts': p =>
    mail(
      '',
      B.yenc(p.slice(0, 30))
        .replace(CRLF, `${CRLF}=ypart begin=1 end=30${CRLF}`)
        .replace('=ybegin', '=ybegin part=1'),
      B.yenc(p.slice(30))
        .replace(CRLF, `${CRLF}=ypart begin=31 end=68${CRLF}`)
        .replace('=ybegin', '=ybegin part=2'),
    ),
  BinHex: p => mixed(['Content-Type: application/mac-binhex40; name=a.hqx', '', binhex(p)]),
  'BinHex in base64': p => B.attached(octets(binhex(p)), 'application/mac-binhex40; name=a.hqx'),
  'BinHex behind text': p =>
    mixed(['Content-Type: application/mac-binhex40', '', `Some words.${CRLF}${binhex(p)}`]),
  'odd mail in AppleSingle': p => B.attached(appleDouble(veiled(p), 0x00051600)),
  'odd mail in AppleDouble': p =>
    B.attached(appleDouble(veiled(p), 0x00051607), 'application/applefile'),
  'odd mail in MacBinary': p => B.attached(macBinary(veiled(p)), 'application/macbinary'),
  'page in UTF-7': p => mixed([`${HTML}; charset=utf-7`, '', utf7(page(p))]),
  'page in UTF-7, in base64': p => B.attached(octets(utf7(page(p))), 'text/html; charset=utf-7'),
  'page in UTF-16, big end first': p =>
    B.attached(Buffer.from(page(p), 'utf16le').swap16(), 'text/html; charset=utf-16be'),
  'page in ISO-2022-JP': p =>
    mixed([`${HTML}; charset=iso-2022-jp`, '', page(p).replace(/base64,.{8}/, '$&\x1b(J\x1b(B')]),
  'page with NULs': p => mixed([HTML, '', page(p).replace(/.{6}/g, '$&\0')]),
  'gzip by Content-Encoding': p =>
    mixed([FILE, 'Content-Encoding: gzip', BASE64, '', b64(gzipSync(veiled(p)))]),
  'mailbox of two messages': p =>
    mixed([
      'Content-Type: application/mbox; name=a.mbox',
      '',
      `From a@b Tue Nov 24${CRLF}Subject: x${CRLF}${CRLF}x${CRLF}${CRLF}From a@b Tue Nov 24${CRLF}` +
        mail('Content-Transfer-Encoding: quoted-printable', '', B.qpWrapped(p)).toString('latin1'),
    ]),
  'mail behind blank lines': p =>
    B.attached(
      octets(
        `${CRLF}${CRLF}${mail('Content-Transfer-Encoding: quoted-printable', '', B.qpWrapped(p)).toString('latin1')}`,
      ),
      'application/octet-stream; name=a.eml',
    ),
  'mail behind a byte order mark': p =>
    B.attached(
      octets(
        `\xef\xbb\xbf${mail('Content-Transfer-Encoding: quoted-printable', '', B.qpWrapped(p)).toString('latin1')}`,
      ),
      'application/octet-stream; name=a.eml',
    ),
  'calendar with a file': p =>
    mixed([
      'Content-Type: text/calendar',
      '',
      `BEGIN:VCALENDAR${CRLF}ATTACH;ENCODING=BASE64;VALUE=BINARY:${b64(p, 40).replaceAll(CRLF, `${CRLF} `)}${CRLF}END:VCALENDAR`,
    ]),
  'card with a picture': p =>
    mixed([
      'Content-Type: text/vcard',
      '',
      `BEGIN:VCARD${CRLF}PHOTO;ENCODING=b;TYPE=X:${b64(p, 30).replaceAll(CRLF, `${CRLF}\t`)}${CRLF}END:VCARD`,
    ]),
}
