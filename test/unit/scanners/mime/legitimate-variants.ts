// The battery's shapes that people's programs really send.
import { gzipSync } from 'node:zlib'
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, FILE, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>

export const legitimate: Shapes = {
  'base64 attachment': p => file('base64', b64(p)),
  'base64 attachment, lines of 60': p => file('base64', b64(p, 60)),
  'base64 in one long line': p => file('base64', b64(p.padEnd(3000, ' '), 100_000)),
  'base64 as the only body': p => mail(FILE, BASE64, '', b64(p)),
  'quoted-printable attachment': p => file('quoted-printable', B.qpWrapped(p)),
  '7bit attachment': p => file('7bit', p),
  '8bit attachment': p => file('8bit', `\xe9\xe8${CRLF}${p}`),
  'no final boundary': p =>
    mail('Content-Type: multipart/mixed; boundary=bb', '', '--bb', FILE, BASE64, '', b64(p)),
  'footer after base64': p =>
    file('base64', `${b64(p)}${CRLF}${CRLF}____________${CRLF}List footer, see http://list.test/`),
  'a nested forward': p =>
    mixed(['Content-Type: message/rfc822', '', file('base64', b64(p)).toString('latin1')]),
  'a forward in base64': p =>
    mixed(['Content-Type: message/rfc822', BASE64, '', b64(file('base64', b64(p)))]),
  'an eml as application/octet-stream': p =>
    mixed([
      'Content-Type: application/octet-stream; name="a.eml"',
      BASE64,
      '',
      b64(file('base64', b64(p))),
    ]),
  'multipart in multipart': p =>
    mixed([
      'Content-Type: multipart/mixed; boundary=cc',
      '',
      '--cc',
      FILE,
      BASE64,
      '',
      b64(p),
      '--cc--',
    ]),
  'inner final boundary missing': p =>
    mixed(['Content-Type: multipart/mixed; boundary=cc', '', '--cc', FILE, BASE64, '', b64(p)]),
  'uuencode in text': p =>
    mail('Content-Type: text/plain', '', 'Here it is:', '', B.uu(p), '', 'Bye'),
  'uuencode, labelled': p => file('x-uuencode', B.uu(p)),
  'yEnc in text': p => mail('Content-Type: text/plain', '', B.yenc(p)),
  'begin-base64 in text': p => mail('', 'Here:', 'begin-base64 644 a.com', b64(p), '===='),
  'winmail.dat': p => B.attached(B.tnef(p), 'application/ms-tnef; name="winmail.dat"'),
  'S/MIME opaque': p =>
    mail(
      'Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m',
      BASE64,
      '',
      b64(B.cms(file('base64', b64(p)), 'definite')),
    ),
  'S/MIME opaque in pieces': p =>
    mail(
      'Content-Type: application/pkcs7-mime; name=smime.p7m',
      BASE64,
      '',
      b64(B.cms(file('base64', b64(p)), 'pieces')),
    ),
  'S/MIME compressed': p =>
    mail(
      'Content-Type: application/pkcs7-mime; smime-type=compressed-data',
      BASE64,
      '',
      b64(B.cms(file('base64', b64(p)), 'compressed')),
    ),
  'RTF object': p => B.attached(B.rtf(p), 'application/rtf; name="a.rtf"'),
  'RTF object in lines': p => B.attached(B.rtf(p, CRLF), 'application/rtf; name="a.rtf"'),
  zip: p => B.attached(B.oddZip(p, z => z)),
  'stored zip': p => B.attached(B.storedZip(p)),
  'zip in zip': p => B.attached(B.oddZip(B.storedZip(p).toString('latin1'), z => z)),
  gzip: p => B.attached(gzipSync(p)),
  'an 8-bit header': p => mail('X-Odd: \xe4\xf6\xfc', FILE, BASE64, '', b64(p)),
  'RFC 2231 boundary': p =>
    mixed([FILE, BASE64, '', b64(p)], "multipart/mixed; boundary*=us-ascii''b%62"),
  'boundary with odd letters': p =>
    mixed([FILE, BASE64, '', b64(p)], 'multipart/mixed; boundary="=_(x):y/z?"', '=_(x):y/z?'),
  'folded fields': p =>
    mixed([
      'Content-Type:',
      '\tapplication/octet-stream;',
      ' name=a.com',
      'Content-Transfer-Encoding:',
      '  base64',
      '',
      b64(p),
    ]),
  'related, alternative, html': p =>
    mixed([
      'Content-Type: multipart/related; boundary=rr',
      '',
      '--rr',
      'Content-Type: multipart/alternative; boundary=aa',
      '',
      '--aa',
      'Content-Type: text/html',
      '',
      '<p>x</p>',
      '--aa--',
      '--rr',
      FILE,
      BASE64,
      '',
      b64(p),
      '--rr--',
    ]),
  'a page that looks like a program, at length': p =>
    B.html(
      `<script>x</script>${'<a href="q">say (= ^%) a + "b" </a> {:;} &lt;a>'.repeat(3_000)}<!--${p}-->`,
    ),
  'a text whose first words look like a field': p =>
    B.attached(Buffer.from(`\r\n(well):${'x '.repeat(200_000)}${p}`), 'text/html; name=a.html'),
  'a 7z cut off': p =>
    B.attached(Buffer.from(`7z\xbc\xaf\x27\x1c\0\x04${'\x7f'.repeat(24)}${p}`, 'latin1')),
  'no line break at the end': p => file('base64', b64(p)).subarray(0, -2),
  'lower-case fields': p =>
    mixed([
      'content-type: application/octet-stream',
      'content-transfer-encoding: BASE64',
      '',
      b64(p),
    ]),
}
