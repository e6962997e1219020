// The battery's odd base64, quoted-printable, uuencode and yEnc.
import * as B from './building.ts'

const { CRLF, b64, mixed, mail, file, BASE64 } = B

type Shapes = Record<string, (payload: string) => Buffer>

const half = (text: string): [string, string] => [text.slice(0, 33), text.slice(33)]

export const letters: Shapes = {
  'padding in the middle': p =>
    file(
      'base64',
      half(p)
        .map(each => b64(each.slice(0, 32)) + b64(each.slice(32)))
        .join(CRLF),
    ),
  'pieces each padded': p =>
    file('base64', [p.slice(0, 22), p.slice(22, 44), p.slice(44)].map(each => b64(each)).join('')),
  'padding as junk': p =>
    file(
      'base64',
      b64(p)
        .replace(/=+$/, '')
        .replace(/(.{22})/, '$1=$1')
        .replace(/=.{22}/, '='),
    ),
  'padding at the front': p => file('base64', `====${CRLF}${b64(p)}`),
  'something before the padding': p => file('base64', `QQ==${CRLF}${b64(p)}`),
  'junk between': p => file('base64', b64(p).replace(/.{10}/g, '$&!')),
  'dots between': p => file('base64', b64(p).replace(/.{7}/g, '$&.')),
  'hyphens between': p => file('base64', b64(p).replace(/.{9}/g, '$&-')),
  'NULs between': p => file('base64', b64(p).replace(/.{9}/g, '$&\0')),
  '8-bit between': p => file('base64', b64(p).replace(/.{9}/g, '$&\xe4')),
  'spaces between': p => file('base64', b64(p).replace(/.{5}/g, '$& ')),
  'a letter a line': p => file('base64', b64(p, 1)),
  'three letters a line': p => file('base64', b64(p, 3)),
  'empty lines between': p => file('base64', b64(p, 20).replaceAll(CRLF, CRLF + CRLF)),
  'a line of junk': p =>
    file('base64', `${b64(p, 40).replace(CRLF, `${CRLF}junk, a line of it!${CRLF}`)}`),
  'a comment line': p => file('base64', `# not base64 at all${CRLF}${b64(p)}`),
  'text first': p => file('base64', `This is a file.${CRLF}${CRLF}${b64(p)}`),
  'missing padding': p => file('base64', b64(p).replace(/=+$/, '')),
  'too much padding': p => file('base64', `${b64(p)}====`),
  'URL alphabet': p =>
    file('base64', b64(`${p}\xff\xfe\xfb\xef\xbe`).replaceAll('+', '-').replaceAll('/', '_')),
  'URL alphabet in front': p =>
    file('base64', b64(`\xff\xfe\xfb\xef\xbe\xfb${p}`).replaceAll('+', '-').replaceAll('/', '_')),
  'a final boundary in the padding': p => file('base64', `${b64(p)}=`),
  'qp of all letters in lower case': p => file('quoted-printable', B.qpWrapped(p).toLowerCase()),
  'qp, soft breaks with spaces': p =>
    file('quoted-printable', B.qpWrapped(p).replaceAll(`=${CRLF}`, `=  ${CRLF}`)),
  'qp, every letter its line': p => file('quoted-printable', B.qp(p).replace(/=../g, `$&=${CRLF}`)),
  'qp with wrong escapes': p => file('quoted-printable', `=ZZ=${CRLF}=G1${CRLF}${B.qpWrapped(p)}`),
  'qp with stray equals signs': p =>
    file(
      'quoted-printable',
      B.qpWrapped(p)
        .replace(/((=..){10})/g, '$1=!')
        .replaceAll('!', ''),
    ),
  'qp, a long line': p => file('quoted-printable', B.qp(p)),
  'uuencode without end': p => mail('', B.uu(p).replace(/`\r\nend$/, '')),
  'uuencode with spaces': p => mail('', B.uu(p).replaceAll('`', ' ')),
  'uuencode with wrong counts': p => mail('', B.uu(p).replace(/^[M7]/gm, '!')),
  'uuencode in capitals': p => mail('', B.uu(p).replace('begin', 'BEGIN')),
  'uuencode after text in a part': p => mixed(['Content-Type: text/plain', '', 'See:', B.uu(p)]),
  'uuencode in base64': p =>
    mixed(['Content-Type: text/plain', BASE64, '', b64(`See:${CRLF}${B.uu(p)}`)]),
  'yEnc with parts': p => mail('', B.yenc(p).replace(CRLF, `${CRLF}=ypart begin=1 end=68${CRLF}`)),
}
