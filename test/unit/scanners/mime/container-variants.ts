// The battery's odd archives and documents.
import { deflateSync, gzipSync } from 'node:zlib'
import * as B from './building.ts'

type Shapes = Record<string, (payload: string) => Buffer>

export const containers: Shapes = {
  'RTF object with groups between': p =>
    B.attached(B.rtf(p, '{\\*\\x 00}'), 'application/rtf; name="a.rtf"'),
  'RTF object with words between': p =>
    B.attached(B.rtf(p, '\\par '), 'application/rtf; name="a.rtf"'),
  'RTF without its version': p =>
    B.attached(
      Buffer.from(B.rtf(p).toString('latin1').replace('rtf1', 'rt'), 'latin1'),
      'application/rtf; name="a.rtf"',
    ),
  'zips one behind the other': p =>
    B.attached(Buffer.concat([B.oddZip(p, z => z), B.oddZip('harmless', z => z)])),
  'zips the other way round': p =>
    B.attached(Buffer.concat([B.oddZip('harmless', z => z), B.oddZip(p, z => z)])),
  'zip behind padding': p =>
    B.attached(Buffer.concat([Buffer.alloc(5000, 0x20), B.oddZip(p, z => z)])),
  'zip behind text': p =>
    B.attached(Buffer.concat([Buffer.from('Hello, this is text.\r\n'), B.oddZip(p, z => z)])),
  'zip whose local header says stored': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt16LE(0, 8)
        return z
      }),
    ),
  'zip whose local sizes are 0': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt32LE(0, 18)
        z.writeUInt32LE(0, 22)
        return z
      }),
    ),
  'zip whose local sizes are huge': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt32LE(0x7fffffff, 18)
        return z
      }),
    ),
  'zip said to be encrypted': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt16LE(1, 6)
        return z
      }),
    ),
  'zip without a directory': p =>
    B.attached(B.oddZip(p, z => z.subarray(0, z.indexOf('PK\x01\x02')))),
  'zip with an unknown method': p =>
    B.attached(
      B.oddZip(p, z => {
        z.writeUInt16LE(99, 8)
        return z
      }),
    ),
  'zip cut off at the end': p => B.attached(B.oddZip(p, z => z.subarray(0, -10))),
  'zlib stream': p => B.attached(deflateSync(p)),
  'gzip behind gzip': p => B.attached(Buffer.concat([gzipSync('harmless'), gzipSync(p)])),
  'TNEF with a wrong length before': p =>
    B.attached(
      Buffer.concat([B.tnef(p), Buffer.from([2, 0, 0, 0, 0, 255, 255, 255, 127])]),
      'application/ms-tnef',
    ),
}
