// The battery's HTML and SVG that build a file in the browser.
import { attached, b64, html, mail, qpWrapped } from './building.ts'

const script = (code: string): string => `<html><body><script>${code}</script></body></html>`
const b = (payload: string): string => b64(payload, 100_000)
const codes = (payload: string): number[] => [...payload].map(c => c.charCodeAt(0))
const hex2 = (n: number): string => n.toString(16).padStart(2, '0')
const pieces = (text: string, size: number): string[] =>
  text.match(new RegExp(`.{1,${size}}`, 'g')) ?? []

export const htmlVariants: Record<string, (payload: string) => Buffer> = {
  'data URI in HTML': p =>
    html(`<a href="data:application/octet-stream;base64,${b(p)}" download="a.com">x</a>`),
  'data URI in base64 HTML': p =>
    html(`<a href="data:application/octet-stream;base64,${b(p)}">x</a>`, 'base64'),
  'data URI, percent-encoded base64': p =>
    html(`<a href="data:x/y;base64,${b(p).replaceAll('=', '%3D').replaceAll('+', '%2B')}">x</a>`),
  'data URI, percent-encoded text': p =>
    html(
      `<a href="data:x/y,${codes(p)
        .map(n => `%${hex2(n)}`)
        .join('')}">x</a>`,
    ),
  'data URI with entities': p =>
    html(
      `<a href="data:x/y;base64,${codes(b(p))
        .map(n => `&#${n};`)
        .join('')}">x</a>`,
    ),
  'data URI with hex entities': p =>
    html(
      `<a href="data:x/y;base64,${codes(b(p))
        .map(n => `&#x${hex2(n)};`)
        .join('')}">x</a>`,
    ),
  'data URI in lines': p => html(`<a href="data:x/y;base64,${b64(p, 20)}">x</a>`),
  'atob of a string': p => html(script(`var f=atob("${b(p)}");save(f)`)),
  'atob of pieces': p =>
    html(script(`var f=atob("${pieces(b(p), 10).join('" + "')}");save(f)`), 'base64'),
  'atob of pieces in apostrophes': p =>
    html(script(`f=atob('${pieces(b(p), 7).join("'+\n'")}');save(f)`), 'base64'),
  'atob of an array': p => html(script(`f=atob(["${pieces(b(p), 20).join('","')}"].join(""))`)),
  'array of numbers': p => html(script(`new Uint8Array([${codes(p).join(',')}])`)),
  'array of hexadecimal numbers': p =>
    html(
      script(
        `new Uint8Array([${codes(p)
          .map(n => `0x${hex2(n)}`)
          .join(', ')}])`,
      ),
    ),
  'String.fromCharCode': p => html(script(`String.fromCharCode(${codes(p).join(', ')})`)),
  'hexadecimal string': p => html(script(`f=hex("${codes(p).map(hex2).join('')}")`)),
  '\\x escapes': p =>
    html(
      script(
        `f="${codes(p)
          .map(n => `\\x${hex2(n)}`)
          .join('')}"`,
      ),
    ),
  '\\u escapes': p =>
    html(
      script(
        `f="${codes(p)
          .map(n => `\\u00${hex2(n)}`)
          .join('')}"`,
      ),
    ),
  'unescape of percents': p =>
    html(
      script(
        `document.write(unescape("${codes(p)
          .map(n => `%${hex2(n)}`)
          .join('')}"))`,
      ),
    ),
  '\\x escapes of base64': p =>
    html(
      script(
        `f=atob("${codes(b(p))
          .map(n => `\\x${hex2(n)}`)
          .join('')}")`,
      ),
    ),
  'HTML in UTF-16': p =>
    attached(Buffer.from(`\ufeff<a href="data:x/y;base64,${b(p)}">x</a>`, 'utf16le'), 'text/html'),
  'SVG with a script': p =>
    attached(
      Buffer.from(
        `<svg xmlns="http://www.w3.org/2000/svg"><script>f=atob("${b(p)}")</script></svg>`,
      ),
      'image/svg+xml; name="a.svg"',
    ),
  'HTML as the only body': p =>
    mail('Content-Type: text/html', '', `<a href="data:x/y;base64,${b(p)}">x</a>`),
  'HTML in quoted-printable': p =>
    mail(
      'Content-Type: text/html',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      qpWrapped(`<a href="data:x/y;base64,${b(p)}">x</a>`),
    ),
  'URL-safe base64 in a script': p =>
    html(script(`f=un("${b(`${p}\xfb\xef\xbe`).replaceAll('+', '-').replaceAll('/', '_')}")`)),
  'HTML in HTML': p =>
    html(`<iframe src="data:text/html;base64,${b(script(`f=atob("${b(p)}")`))}"></iframe>`),
  'a script file': p =>
    attached(Buffer.from(`var f = "${b(p)}";`), 'application/javascript; name="a.js"'),
}
