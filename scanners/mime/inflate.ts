// Decompresses, no further than the limits: what is broken or cut off is taken as far as it goes.
import { Readable } from 'node:stream'
import { createInflate, createInflateRaw } from 'node:zlib'
import { type Octets, windows } from './octets.ts'
import type { Session } from './session.ts'

/** A little data that becomes this many times as much is a bomb, once it is more than `BOMB_BYTES`. */
const BOMB_RATIO = 200
const BOMB_BYTES = 8 * 1024 * 1024

export async function inflate(
  octets: Octets,
  kind: 'zlib' | 'raw',
  { scratch, budget }: Session,
): Promise<Octets> {
  const sink = scratch.sink(budget)
  const inflater = kind === 'zlib' ? createInflate() : createInflateRaw()
  const source = Readable.from(windows(octets), { objectMode: false })
  source.pipe(inflater)
  try {
    for await (const chunk of inflater) {
      if (!sink.write(chunk as Buffer)) break
      if (sink.sizeBytes > Math.max(BOMB_BYTES, octets.sizeBytes * BOMB_RATIO)) {
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
