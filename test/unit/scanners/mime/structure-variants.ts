// The battery's odd boundaries, fields and nestings.
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, FILE, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>

const half = (text: string): [string, string] => [text.slice(0, 33), text.slice(33)]

const part = (p: string): string[] => [FILE, BASE64, '', b64(p)]

const boundaries: Record<string, [string, string?]> = {
  'given twice, first counts': ['multipart/mixed; boundary=bb; boundary=cc'],
  'given twice, last counts': ['multipart/mixed; boundary=cc; boundary=bb'],
  'in RFC 2231 pieces': ['multipart/mixed; boundary*0=b; boundary*1=b'],
  'in pieces, out of order': ['multipart/mixed; boundary*1=c; boundary*0=b', 'bc'],
  'in encoded pieces': ["multipart/mixed; boundary*0*=us-ascii''%62; boundary*1*=%62"],
  'plain and RFC 2231': ["multipart/mixed; boundary=cc; boundary*=us-ascii''bb"],
  'in a comment': ['multipart/mixed; (boundary=cc) boundary=bb'],
  'with a comment behind': ['multipart/mixed; boundary=bb(comment)'],
  'a comment that counts': ['multipart/mixed; boundary=bb (x)', 'bb (x)'],
  'without its final quote': ['multipart/mixed; boundary="bb'],
  'in apostrophes': ["multipart/mixed; boundary='bb'", "'bb'"],
  'with escapes': ['multipart/mixed; boundary="b\\b"'],
  'with escapes kept': ['multipart/mixed; boundary="b\\b"', 'b\\b'],
  'with white space around the sign': ['multipart/mixed; boundary = bb'],
  'without a semicolon': ['multipart/mixed boundary=bb'],
  'in capitals': ['MULTIPART/MIXED; BOUNDARY=bb'],
  'of nothing': ['multipart/mixed; boundary=""', ''],
  'not there': ['multipart/mixed'],
  'of another case': ['multipart/mixed; boundary=BB'],
  'with a space at its end': ['multipart/mixed; boundary="bb "'],
  'a prefix only': ['multipart/mixed; boundary=b'],
  'of hyphens': ['multipart/mixed; boundary=----', '----'],
  'very long': [`multipart/mixed; boundary="${'x'.repeat(500)}"`, 'x'.repeat(500)],
  'as an encoded-word': ['multipart/mixed; boundary="=?us-ascii?q?bb?="'],
  'of a type unknown': ['multipart/x-unknown; boundary=bb'],
  'of a type of no multipart': ['application/x-multi; boundary=bb'],
  'with a NUL': ['multipart/mixed; boundary="b\0b"', 'b\0b'],
  'eight-bit': ['multipart/mixed; boundary="b\xe4b"', 'b\xe4b'],
}

export const structures: Shapes = {
  ...Object.fromEntries(
    Object.entries(boundaries).map(([how, [type, bb]]) => [
      `boundary ${how}`,
      (p: string) => mixed(part(p), type, bb),
    ]),
  ),
  'two Content-Types, first counts': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=bb',
      'Content-Type: text/plain',
      '',
      '--bb',
      ...part(p),
      '--bb--',
    ),
  'two Content-Types, last counts': p =>
    mail(
      'Content-Type: text/plain',
      'Content-Type: multipart/mixed; boundary=bb',
      '',
      '--bb',
      ...part(p),
      '--bb--',
    ),
  'two multiparts': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=cc',
      'Content-Type: multipart/mixed; boundary=bb',
      '',
      '--bb',
      ...part(p),
      '--bb--',
      '--cc--',
    ),
  'no Content-Type': p => mail('', '--bb', ...part(p), '--bb--'),
  'in the preamble': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=bb',
      '',
      '--cc',
      ...part(p),
      '--cc--',
      '--bb',
      '',
      'x',
      '--bb--',
    ),
  'in the epilogue': p =>
    mail(
      'Content-Type: multipart/mixed; boundary=bb',
      '',
      '--bb',
      '',
      'x',
      '--bb--',
      '--bb',
      ...part(p),
      '--bb--',
    ),
  'after the inner end': p =>
    mixed([
      'Content-Type: multipart/mixed; boundary=cc',
      '',
      '--cc',
      '',
      'x',
      '--cc--',
      '--cc',
      ...part(p),
      '--cc--',
    ]),
  'inner boundary is the outer': p =>
    mixed(['Content-Type: multipart/mixed; boundary=bb', '', '--bb', ...part(p), '--bb--']),
  'inner boundary begins as the outer': p =>
    mixed(['Content-Type: multipart/mixed; boundary=bbb', '', '--bbb', ...part(p), '--bbb--']),
  'white space after delimiters': p =>
    Buffer.from(mixed(part(p)).toString('latin1').replace(/^--bb/gm, '--bb \t'), 'latin1'),
  'only a final delimiter': p =>
    mail('Content-Type: multipart/mixed; boundary=bb', '', '--bb--', ...part(p)),
  'a part without its blank line': p => mixed([FILE, BASE64, b64(p)]),
  'a part with white space for a blank line': p => mixed([FILE, BASE64, ' \t', b64(p)]),
  'a junk line in the fields': p => mixed([FILE, 'no field at all', BASE64, '', b64(p)]),
  'a blank before the first field': p => mixed([' ', FILE, BASE64, '', b64(p)]),
  'first field indented': p => mixed([` ${FILE}`, BASE64, '', b64(p)]),
  'a message without its blank line': p => mail(FILE, BASE64, b64(p)),
  'mbox line in front': p =>
    Buffer.concat([Buffer.from(`From alice Tue Nov 24${CRLF}`), file('base64', b64(p))]),
  'empty field name': p => mixed([': x', FILE, BASE64, '', b64(p)]),
  'continued by an empty line of spaces': p => mixed([FILE, 'X: y', '   ', BASE64, '', b64(p)]),
  'a forward of a type misspelt': p =>
    mixed(['Content-Type: message/rfc-822', '', file('base64', b64(p)).toString('latin1')]),
  'message/global': p =>
    mixed(['Content-Type: message/global', BASE64, '', b64(file('base64', b64(p)))]),
  'a forward as text/plain in base64': p =>
    mixed(['Content-Type: text/plain', BASE64, '', b64(file('base64', b64(p)))]),
  'digest without type': p =>
    mail(
      'Content-Type: multipart/digest; boundary=dd',
      '',
      '--dd',
      '',
      file('base64', b64(p)).toString('latin1'),
      '--dd--',
    ),
  'nested 60 forwards': p => {
    let m = file('base64', b64(p))
    for (let i = 0; i < 60; i++) m = mail('Content-Type: message/rfc822', '', m.toString('latin1'))
    return m
  },
  'nested 60 multiparts': p => {
    let inner = part(p)
    for (let i = 0; i < 60; i++)
      inner = [
        `Content-Type: multipart/mixed; boundary=b${i}x`,
        '',
        `--b${i}x`,
        ...inner,
        `--b${i}x--`,
      ]
    return mail(...inner)
  },
  'nested 60 multiparts, one boundary': p => {
    let inner = part(p)
    for (let i = 0; i < 60; i++)
      inner = ['Content-Type: multipart/mixed; boundary=bb', '', '--bb', ...inner, '--bb--']
    return mail(...inner)
  },
  'message/partial': p =>
    mail(
      'Content-Type: message/partial; id="x@y"; number=1; total=2',
      '',
      'Subject: x',
      '',
      b64(half(p)[0]),
    ),
  'message/external-body': () =>
    mixed([
      'Content-Type: message/external-body; access-type=URL; URL="http://a.test/a.com"',
      '',
      FILE,
      '',
    ]),
}
