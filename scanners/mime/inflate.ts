// Decompresses, no further than the limits: what is broken or cut off is taken as far as it goes.
import { Readable } from 'node:stream'
import { createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib'
import { type Octets, windows } from './octets.ts'
import type { Session } from './session.ts'

const DECODERS = {
  zlib: createInflate,
  raw: createInflateRaw,
  gzip: createGunzip,
  zstd: createZstdDecompress,
}

export async function inflate(
  octets: Octets,
  kind: keyof typeof DECODERS,
  { scratch, budget }: Session,
): Promise<Octets> {
  const { bombBytes, bombRatio } = budget.limits
  const sink = scratch.sink(budget)
  const inflater = DECODERS[kind]()
  const source = Readable.from(windows(octets), { objectMode: false })
  source.pipe(inflater)
  try {
    for await (const chunk of inflater) {
      if (!sink.write(chunk as Buffer)) break
      if (sink.sizeBytes > Math.max(bombBytes, octets.sizeBytes * bombRatio)) {
        budget.stop('too-large')
        break
      }
    }
  } catch {
    // Not compressed in this way, or only so far.
  } finally {
    source.destroy()
    inflater.destroy()
  }
  return sink.finish()
}
