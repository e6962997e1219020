// A payload is found however it is nested and encoded; made up afresh by fast-check at each run.
import { test } from 'node:test'
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { EICAR } from '../../../support/eicar.ts'
import { attached, b64, CRLF, cms, html, mail, mixed, qpWrapped, tnef, uu } from './building.ts'
import { tar, zipOf } from './packing.ts'
import { rar4, rar5 } from './rar-packing.ts'
import { read } from './reading.ts'

type Layer = (message: Buffer) => Buffer
const text = (message: Buffer): string => message.toString('latin1')

const layers: Record<string, Layer> = {
  forward: m =>
    mixed(['Content-Type: message/rfc822', '', text(m)], 'multipart/mixed; boundary=b1', 'b1'),
  'forward in base64': m =>
    mixed(['Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', b64(m)]),
  'forward in quoted-printable': m =>
    mixed([
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      qpWrapped(text(m)),
    ]),
  'attached as a file': m => attached(m, 'application/octet-stream; name=a.eml'),
  'in winmail.dat': m => attached(tnef(text(m))),
  'in uuencode': m => mail('', `Look:${CRLF}${uu(text(m))}`),
  'in HTML': m => html(`<a href="data:message/rfc822;base64,${b64(m, 1e9)}">x</a>`),
  'in gzip': m => attached(gzipSync(m)),
  'in zlib': m => attached(deflateSync(m)),
  'in Zstandard': m => attached(zstdCompressSync(m)),
  'in tar': m => attached(tar('a.eml', m)),
  'in tar in gzip': m => attached(gzipSync(tar('a.eml', m))),
  'in a zip': m => attached(zipOf(8, deflateRawSync(m), m.length, 'a.eml')),
  'stored in a zip': m => attached(zipOf(0, m, m.length, 'a.eml')),
  'in a zip in a zip': m => {
    const inner = zipOf(8, deflateRawSync(m), m.length, 'a.eml')
    return attached(zipOf(8, deflateRawSync(inner), inner.length, 'a.zip'))
  },
  'in RAR 4': m => attached(rar4(m, { name: 'a.eml' })),
  'in RAR 5': m => attached(rar5(m, { name: 'a.eml' })),
  'in S/MIME': m => attached(cms(m, 'pieces'), 'application/pkcs7-mime'),
}

test('EICAR is among the leaves', async () => {
  const payload = fc.record({
    before: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
    after: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  })
  const nesting = fc.array(fc.constantFrom(...Object.keys(layers)), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(payload, nesting, async ({ before, after }, names) => {
      let message = attached(Buffer.from(`${before}${EICAR}${after}`))
      for (const name of names) message = layers[name]?.(message) ?? message
      const { leaves, reason } = await read(message)
      return reason === undefined && leaves.some(leaf => leaf.includes(EICAR))
    }),
    { numRuns: 150 },
  )
})
