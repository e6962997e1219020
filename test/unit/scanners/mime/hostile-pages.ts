// The battery's second round: pages, pictures and documents that carry a file in yet another way.
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { attached, b64, CRLF, file, html, rtf } from './building.ts'

type Shapes = Record<string, (payload: string) => Buffer>
const script = (code: string): Buffer => html(`<html><body><script>${code}</script></body></html>`)
const b = (payload: string | Buffer): string => b64(payload, 1e9)
const codes = (payload: string): number[] => [...payload].map(c => c.charCodeAt(0))
const hex = (payload: string): string => Buffer.from(payload, 'latin1').toString('hex')
const pieces = (text: string, size: number): string[] =>
  text.match(new RegExp(`.{1,${size}}`, 'g')) ?? []
const veiled = (p: string): string =>
  file('base64', b64(p).replace(/.{9}/g, '$&!')).toString('latin1')

function pdf(payload: string, filter: string, data: Buffer | string): Buffer {
  const stream = Buffer.from(data as string, 'latin1')
  return Buffer.concat([
    Buffer.from(
      `%PDF-1.7\n1 0 obj\n<</Type/Catalog/Names<</EmbeddedFiles<</Names[(a.com)2 0 R]>>>>>>\nendobj\n` +
        `2 0 obj\n<</Type/Filespec/F(a.com)/EF<</F 3 0 R>>>>\nendobj\n` +
        `3 0 obj\n<</Type/EmbeddedFile/Filter${filter}/Length ${stream.length}/Params<</Size ${payload.length}>>>>\nstream\n`,
    ),
    stream,
    Buffer.from('\nendstream\nendobj\ntrailer\n<</Root 1 0 R/Size 4>>\n%%EOF\n'),
  ])
}

function oneNote(data: string): Buffer {
  const size = Buffer.alloc(20)
  size.writeUInt32LE(data.length, 0)
  return Buffer.concat([
    Buffer.from('e4525c7b8cd8a74daeb15378d02996d3', 'hex'),
    Buffer.alloc(1024),
    Buffer.from('e716e3bd65261145a4c48d4d0b7a9eac', 'hex'),
    size,
    Buffer.from(data, 'latin1'),
    Buffer.from('22a7fb711c0fa54b8ad4e9e6ca6c4e71', 'hex').reverse(),
  ])
}

export const hostilePages: Shapes = {
  'data URI without a type': p => html(`<a href="data:;base64,${b(p)}">x</a>`),
  'data URI with a charset': p => html(`<a href="data:x/y;charset=utf-8;base64,${b(p)}">x</a>`),
  'data URI in capitals': p => html(`<a href="DATA:x/y;BASE64,${b(p)}">x</a>`),
  'data URI without quotes': p => html(`<a href=data:x/y;base64,${b(p)}>x</a>`),
  'data URI broken by tabs': p =>
    html(`<a href="da\tta:x/y;ba\tse64,${pieces(b(p), 9).join('\t')}">x</a>`),
  'data URI with a newline entity': p =>
    html(`<a href="data:x/y;base64,${pieces(b(p), 9).join('&NewLine;')}">x</a>`),
  'data URI with percents for letters': p =>
    html(
      `<a href="data:x/y;base64,${codes(b(p))
        .map(n => `%${n.toString(16)}`)
        .join('')}">x</a>`,
    ),
  'data URI with type in percents': p => html(`<a href="data:x/y;base%36%34,${b(p)}">x</a>`),
  'data URI in style': p => html(`<style>@font-face{src:url(data:x/y;base64,${b(p)})}</style>`),
  'data URI with CSS escapes': p =>
    html(
      `<style>a{background:url("data:x/y;base64,${codes(b(p))
        .map(n => `\\${n.toString(16)} `)
        .join('')}")}</style>`,
    ),
  'data URI in srcset': p => html(`<img srcset="data:x/y;base64,${b(p)} 1x">`),
  'data URI in a refresh': p =>
    html(`<meta http-equiv=refresh content="0;url=data:x/y;base64,${b(p)}">`),
  'page in srcdoc': p =>
    html(`<iframe srcdoc="&lt;a href=&quot;data:x/y;base64,${b(p)}&quot;&gt;"></iframe>`),
  'page in srcdoc of numbers': p =>
    html(
      `<iframe srcdoc="${codes(
        `<a href="data:x/y,${codes(p)
          .map(n => `%${n.toString(16).padStart(2, '0')}`)
          .join('')}">`,
      )
        .map(n => `&#${n}`)
        .join(';')};"></iframe>`,
    ),
  'SVG with an image': p =>
    attached(
      Buffer.from(`<svg xmlns:xlink="x"><image xlink:href="data:x/y;base64,${b(p)}"/></svg>`),
      'image/svg+xml',
    ),
  'SVG with CDATA': p =>
    attached(
      Buffer.from(`<svg><script><![CDATA[f=atob("${b(p)}")]]></script></svg>`),
      'image/svg+xml',
    ),
  'XHTML with an entity of its own': p =>
    attached(
      Buffer.from(
        `<!DOCTYPE html [<!ENTITY e "${b(p)}">]><html><script>f=atob("&e;")</script></html>`,
      ),
      'application/xhtml+xml',
    ),
  'base64 backwards': p =>
    script(`f=atob("${[...b(p)].reverse().join('')}".split("").reverse().join(""))`),
  'base64 with signs between': p =>
    script(`f=atob("${pieces(b(p), 5).join('!')}".replace(/!/g,""))`),
  'base64 with words between': p =>
    script(`f=atob("${pieces(b(p), 8).join('_@_')}".split("_@_").join(""))`),
  'base64 in concat': p => script(`f=atob("".concat("${pieces(b(p), 12).join('","')}"))`),
  'base64 in additions': p =>
    script(
      `f="";${pieces(b(p), 12)
        .map(each => `f+="${each}";`)
        .join('\n')}f=atob(f)`,
    ),
  'base64 in template literals': p => script(`f=atob(\`${pieces(b(p), 12).join('` + `')}\`)`),
  'base64 with comments between': p =>
    script(`f=atob("${pieces(b(p), 12).join('" /* x */ + "')}")`),
  'base64 in continued lines': p => script(`f=atob("${pieces(b(p), 12).join('\\\n')}")`),
  'base64 in octal': p =>
    script(
      `f=atob("${codes(b(p))
        .map(n => `\\${n.toString(8)}`)
        .join('')}")`,
    ),
  'base64 in \\u{} escapes': p =>
    script(
      `f=atob("${codes(b(p))
        .map(n => `\\u{${n.toString(16)}}`)
        .join('')}")`,
    ),
  'base64 in spans': p =>
    html(
      `<script>x</script>${pieces(b(p), 16)
        .map(each => `<span>${each}</span>`)
        .join('')}`,
    ),
  'base64 in inputs': p => html(`<script>x</script><input type=hidden value="${b(p)}">`),
  'base64 of base64': p => script(`f=atob(atob("${b(b(p))}"))`),
  'base64 of gzip': p =>
    script(`new DecompressionStream("gzip");f=atob("${b(gzipSync(veiled(p)))}")`),
  'base64 of zlib': p => script(`pako.inflate(atob("${b(deflateSync(p))}"))`),
  'base64 of raw deflate': p =>
    script(`new DecompressionStream("deflate-raw");f=atob("${b(deflateRawSync(p))}")`),
  'hexadecimal with commas and quotes': p => script(`f=["${pieces(hex(p), 2).join('","')}"]`),
  'hexadecimal with blanks': p => script(`f="${pieces(hex(p), 2).join(' ')}"`),
  'hexadecimal with percents doubled': p =>
    script(
      `f=unescape(unescape("${pieces(hex(p), 2)
        .map(h => `%25${h}`)
        .join('')}"))`,
    ),
  'numbers with blanks': p => script(`f="${codes(p).join(' ')}".split(" ")`),
  'numbers with signs': p => script(`f="${codes(p).join('-')}".split("-")`),
  'numbers in a template': p => script(`String.fromCharCode.apply(0, [ ${codes(p).join(' , ')} ])`),
  'numbers of 16 bits': p =>
    script(
      `new Uint16Array([${pieces(p, 2)
        .map(([x = '', y = '\0']) => x.charCodeAt(0) + 256 * y.charCodeAt(0))
        .join(',')}])`,
    ),
  'numbers shifted': p =>
    script(
      `[${codes(p)
        .map(n => n + 1)
        .join(',')}].map(n=>n-1)`,
    ),
  'octal escapes': p =>
    script(
      `f="${codes(p)
        .map(n => `\\${n.toString(8).padStart(3, '0')}`)
        .join('')}"`,
    ),
  'a batch file for certutil': p =>
    attached(
      Buffer.from(
        `@echo off\r\necho ${pieces(b(p), 40).join('>>a.txt\r\necho ')}>>a.txt\r\ncertutil -decode a.txt a.com\r\n`,
      ),
      'application/octet-stream; name=a.bat',
    ),
  'a script for PowerShell': p =>
    attached(
      Buffer.from(`powershell -e ${Buffer.from(`$x='${b(p)}'`, 'utf16le').toString('base64')}`),
      'application/octet-stream; name=a.cmd',
    ),
  'PDF with a file': p => attached(pdf(p, '/FlateDecode', deflateSync(p)), 'application/pdf'),
  'PDF with a file in hexadecimal and Flate': p =>
    attached(
      pdf(p, '[/ASCIIHexDecode/FlateDecode]', `${deflateSync(p).toString('hex')}>`),
      'application/pdf',
    ),
  'PDF with an odd mail': p =>
    attached(pdf(p, '/FlateDecode', deflateSync(veiled(p))), 'application/pdf'),
  'OneNote with a file': p => attached(oneNote(p), 'application/onenote; name=a.one'),
  'OneNote with an odd mail': p => attached(oneNote(veiled(p)), 'application/onenote; name=a.one'),
  'RTF object with an odd mail': p => attached(rtf(veiled(p)), 'application/rtf'),
  'RTF object behind other words': p =>
    attached(
      Buffer.from(
        rtf(p).toString('latin1').replace('\\objdata ', '\\objdata\\bin0 \\par\\pard {\\*\\a 4}'),
        'latin1',
      ),
      'application/rtf',
    ),
  'RTF in capitals behind blanks': p =>
    attached(Buffer.concat([Buffer.from(`${CRLF} `), rtf(p)]), 'application/msword; name=a.doc'),
  'RTF with hexadecimal escapes': p => attached(rtf(p, "\\'41"), 'application/rtf'),
}
