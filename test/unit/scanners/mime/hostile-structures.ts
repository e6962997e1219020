// The battery's second round: fields, boundaries and nestings on which readers disagree.
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, FILE, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>
const part = (p: string): string[] => [FILE, BASE64, '', b64(p)]
const replaced = (message: Buffer, from: RegExp | string, to: string): Buffer =>
  Buffer.from(message.toString('latin1').replace(from, to), 'latin1')

const boundaries: Record<string, [string, string?]> = {
  'and RFC 2231 first piece': ['multipart/mixed; boundary*0=cc; boundary=bb'],
  'in another parameter': ['multipart/mixed; name="boundary=cc"; boundary=bb'],
  'hidden in a charset': ['multipart/mixed; charset="; boundary=cc"; boundary=bb'],
  'with a comma for a semicolon': ['multipart/mixed, boundary=bb'],
  'behind two semicolons': ['multipart/mixed;; boundary=bb'],
  'behind spaces in the type': ['multipart / mixed; boundary=bb'],
  'behind a comment in the type': ['multipart/(x)mixed; boundary=bb'],
  'with a quote inside': ['multipart/mixed; boundary=b"b', 'b"b'],
  'with a quote escaped': ['multipart/mixed; boundary="b\\"b"', 'b"b'],
  'with a semicolon inside': ['multipart/mixed; boundary="b;b"', 'b;b'],
  'unquoted with a semicolon inside': ['multipart/mixed; boundary=b;b', 'b'],
  'folded after its sign': [`multipart/mixed; boundary=${CRLF} "bb"`],
  'folded inside': [`multipart/mixed; boundary="b${CRLF} b"`, 'b b'],
  'percent-encoded, unmarked': ['multipart/mixed; boundary=%62%62', '%62%62'],
  'with a tick only': ["multipart/mixed; boundary=x''bb", "x''bb"],
  'with a charset that is none': ["multipart/mixed; boundary*=x-none'en'bb"],
  'of white space': ['multipart/mixed; boundary=" "', ' '],
  'with a tab at its end': ['multipart/mixed; boundary="bb\t"'],
  'with an underscored name': ['multipart/mixed; x-boundary=cc; boundary=bb'],
  'with a colon for the sign': ['multipart/mixed; boundary:bb'],
  'without its type': ['; boundary=bb'],
  'of a type in quotes': ['"multipart/mixed"; boundary=bb'],
  'of a type as an encoded-word': ['=?us-ascii?q?multipart/mixed?=; boundary=bb'],
  'behind 9,000 letters': [`multipart/mixed; x=${'y'.repeat(9_000)}; boundary=bb`],
}

export const hostileStructures: Shapes = {
  ...Object.fromEntries(
    Object.entries(boundaries).map(([how, [type, bb]]) => [
      `boundary ${how}`,
      (p: string) => mixed(part(p), type, bb),
    ]),
  ),
  'delimiters indented': p => replaced(mixed(part(p)), /^--bb/gm, ' --bb'),
  'delimiters with words behind': p => replaced(mixed(part(p)), /^--bb\r/gm, '--bb and more\r'),
  'final delimiter with words behind': p =>
    replaced(mixed(part(p)), /^--bb--/gm, '--bb-- and more'),
  'delimiters of one hyphen': p => replaced(mixed(part(p)), /^--bb/gm, '-bb'),
  'delimiters of three hyphens': p => replaced(mixed(part(p)), /^--bb/gm, '---bb'),
  'a delimiter at the end of a line': p =>
    replaced(mixed(part(p)), /attachment\.\r\n/, 'attachment.'),
  'a final delimiter in front': p =>
    mail('Content-Type: multipart/mixed; boundary=bb', '', '--bb--', '--bb', ...part(p), '--bb--'),
  'two delimiters': p =>
    replaced(mixed(part(p)), /^--bb\r\n(?=Content-Type: app)/m, `--bb${CRLF}--bb${CRLF}`),
  'a part of fields only before': p => mixed([FILE, BASE64, '--bb', ...part(p)]),
  'fields of the message in the part': p => mixed([...B.TOP, ...part(p)]),
  'an empty Content-Type': p => mixed(['Content-Type:', BASE64, '', b64(p)]),
  'a Content-Type of one word': p => mixed(['Content-Type: text', BASE64, '', b64(p)]),
  'a Content-Type that is none': p => mixed(['Content-Type: ;;;/', BASE64, '', b64(p)]),
  'an underscore in the field name': p =>
    mixed([FILE, 'Content_Transfer_Encoding: base64', '', b64(p)]),
  'a tab before the colon': p => mixed([FILE, 'Content-Transfer-Encoding\t: base64', '', b64(p)]),
  'a line break before the colon': p =>
    mixed([FILE, `Content-Transfer-Encoding${CRLF} : base64`, '', b64(p)]),
  'no colon': p => mixed([FILE, 'Content-Transfer-Encoding base64', '', b64(p)]),
  'an equals sign for the colon': p =>
    mixed([FILE, 'Content-Transfer-Encoding= base64', '', b64(p)]),
  'a quoted field name': p => mixed([FILE, '>Content-Transfer-Encoding: base64', '', b64(p)]),
  'an 8-bit letter in the field name': p =>
    mixed([FILE, 'Content-Transfer-Encoding\xa0: base64', '', b64(p)]),
  'the field behind 100 KB of others': p =>
    mixed([
      ...Array.from({ length: 1_500 }, (_, n) => `X-${n}: ${'x'.repeat(60)}`),
      FILE,
      BASE64,
      '',
      b64(p),
    ]),
  'junk lines before the fields': p => mixed(['junk', 'more of it', FILE, BASE64, '', b64(p)]),
  'a blank line before the fields': p => mixed(['', FILE, BASE64, '', b64(p)]),
  'the field after the blank line': p => mixed([FILE, '', BASE64, '', b64(p)]),
  'encoding told by the message only': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=bb',
      BASE64,
      '',
      '--bb',
      FILE,
      '',
      b64(p),
      '--bb--',
    ),
  'a forward with an encoding it may not have': p =>
    mixed([
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: x-uuencode',
      '',
      B.uu(file('base64', b64(p)).toString('latin1'), 'a.eml'),
    ]),
  'a forward of a forward without fields': p =>
    mixed(['Content-Type: message/rfc822', '', '', ...part(p)]),
  'a report with the message in base64': p =>
    mixed(
      [
        'Content-Type: message/rfc822-headers',
        BASE64,
        '',
        b64(file('base64', b64(p).replace(/.{9}/g, '$&!'))),
      ],
      'multipart/report; boundary=bb',
    ),
  'a partial forward in pieces within one message': p =>
    mixed([
      'Content-Type: message/partial; id=x; number=1; total=1',
      '',
      file('base64', b64(p)).toString('latin1'),
    ]),
  'a multipart in a file': p =>
    mixed([
      'Content-Type: application/octet-stream; name=a.bin',
      BASE64,
      '',
      b64(mixed(part(p).map((line, i) => (i === 3 ? line.replace(/.{9}/g, '$&!') : line)))),
    ]),
  'MHTML behind a page': p =>
    B.attached(
      Buffer.concat([
        Buffer.from(`<html>x</html>${CRLF}`),
        mixed(['Content-Location: a', ...part(p)], 'multipart/related; boundary=bb'),
      ]),
      'text/html; name=a.html',
    ),
  'MHTML as a document': p =>
    B.attached(
      mixed(['Content-Location: file:///C:/a', ...part(p)], 'multipart/related; boundary=bb'),
      'application/msword; name=a.doc',
    ),
  'TNEF in TNEF': p =>
    B.attached(
      B.tnef(
        B.tnef(file('base64', b64(p).replace(/.{9}/g, '$&!')).toString('latin1')).toString(
          'latin1',
        ),
      ),
      'application/ms-tnef',
    ),
  'TNEF in uuencode': p => mail('', B.uu(B.tnef(p).toString('latin1'), 'winmail.dat')),
  'signed in signed': p =>
    B.attached(
      B.cms(
        mail(
          'Content-Type: application/pkcs7-mime',
          BASE64,
          '',
          b64(B.cms(file('base64', b64(p)), 'pieces')),
        ),
        'definite',
      ),
      'application/pkcs7-mime',
    ),
  'signed in PEM': p =>
    mixed([
      'Content-Type: application/octet-stream; name=a.p7m',
      '',
      `-----BEGIN PKCS7-----${CRLF}${b64(B.cms(file('base64', b64(p)), 'definite'), 64)}${CRLF}-----END PKCS7-----`,
    ]),
}
