// The battery's odd labels of encodings, and encodings where none should be.
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, FILE, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>

const labels: Record<string, string> = {
  'in capitals': 'BASE64',
  'with a comment': 'base64 (really)',
  'comment first': '(x) base64',
  quoted: '"base64"',
  'with a semicolon': 'base64;',
  'with a parameter': 'base64; x=y',
  'with a dot': 'base64.',
  'as x-base64': 'x-base64',
  'as base-64': 'base-64',
  'with white space': '  base64  \t',
  'comment in the middle': 'base(x)64',
  'twice in one': 'base64, base64',
  '7bit first': '7bit base64',
  'as an encoded-word': '=?us-ascii?q?base64?=',
  'as a base64 encoded-word': '=?us-ascii?b?YmFzZTY0?=',
  unknown: 'x-unknown',
  'with a NUL': 'base\x0064',
  'with a tab': '\tbase64',
  apostrophes: "'base64'",
  'as b64': 'b64',
  'a folded label': `base64${CRLF} `,
  'with 8-bit': 'base64\xa0',
}

export const encodings: Shapes = {
  ...Object.fromEntries(
    Object.entries(labels).map(([how, label]) => [
      `base64 label ${how}`,
      (p: string) => file(label, b64(p)),
    ]),
  ),
  'two encodings, base64 last': p =>
    mixed([FILE, 'Content-Transfer-Encoding: 7bit', BASE64, '', b64(p)]),
  'two encodings, base64 first': p =>
    mixed([FILE, BASE64, 'Content-Transfer-Encoding: quoted-printable', '', b64(p)]),
  'two encodings, qp last': p =>
    mixed([FILE, BASE64, 'Content-Transfer-Encoding: quoted-printable', '', B.qpWrapped(p)]),
  'space before the colon': p => mixed([FILE, 'Content-Transfer-Encoding : base64', '', b64(p)]),
  'NUL in the field name': p => mixed([FILE, 'Content-Transfer\x00-Encoding: base64', '', b64(p)]),
  'base64 without a label': p => mixed([FILE, '', b64(p)]),
  'base64 labelled 7bit': p => file('7bit', b64(p)),
  'base64 without a label in text': p => mail('', 'Here:', '', b64(p), '', 'Bye'),
  'qp label misspelt': p => file('quoted printable', B.qpWrapped(p)),
  'qp label shortened': p => file('quoted', B.qpWrapped(p)),
  'multipart in base64': p =>
    mixed([
      'Content-Type: multipart/mixed; boundary=cc',
      BASE64,
      '',
      b64(['--cc', FILE, BASE64, '', b64(p), '--cc--', ''].join(CRLF)),
    ]),
  'multipart in qp': p =>
    mixed([
      'Content-Type: multipart/mixed; boundary=cc',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      B.qpWrapped(['--cc', FILE, BASE64, '', b64(p), '--cc--', ''].join(CRLF)),
    ]),
  'multipart labelled base64, not encoded': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=bb',
      BASE64,
      '',
      '--bb',
      FILE,
      BASE64,
      '',
      b64(p),
      '--bb--',
    ),
  'message labelled base64, not encoded': p =>
    mixed(['Content-Type: message/rfc822', BASE64, '', file('base64', b64(p)).toString('latin1')]),
  'forward in qp': p =>
    mixed([
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      B.qpWrapped(file('base64', b64(p)).toString('latin1')),
    ]),
  'forward in base64 in base64': p =>
    mixed([
      'Content-Type: message/rfc822',
      BASE64,
      '',
      b64(mixed(['Content-Type: message/rfc822', BASE64, '', b64(file('base64', b64(p)))])),
    ]),
}
