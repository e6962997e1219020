// Reads messages in tests: all leaves of one, in memory or from a file.
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Ending, LIMITS, type Limits } from '../../../../scanners/mime/limits.ts'
import {
  createScratch,
  inMemory,
  type Octets,
  type Scratch,
} from '../../../../scanners/mime/octets.ts'
import { readLeaves } from '../../../../scanners/mime/reader.ts'
import { temporaryFolder } from '../../../support/process.ts'

/** `reason` is the first of the endings. */
export type Read = { leaves: Buffer[]; reason: Ending | undefined; endings: Ending[] }

/** All leaves, copied; `onDisk` reads from a file, as the scanner does. */
export async function read(
  content: Buffer,
  { limits = {}, onDisk = false }: { limits?: Partial<Limits>; onDisk?: boolean } = {},
): Promise<Read> {
  using scratch = createScratch(tmpdir())
  const octets = onDisk ? await written(content, scratch) : inMemory(content)
  const leaves: Buffer[] = []
  const signal = new AbortController().signal
  const reading = readLeaves(octets, scratch, signal, { ...LIMITS, ...limits })
  for (;;) {
    const { value, done } = await reading.next()
    if (done) return { leaves, reason: value[0], endings: value }
    leaves.push(value.octets.slice(0, value.octets.sizeBytes))
  }
}

async function written(content: Buffer, scratch: Scratch): Promise<Octets> {
  await using folder = await temporaryFolder('read')
  const file = path.join(folder.path, 'message.eml')
  await writeFile(file, content)
  return scratch.open(file, content.length)
}
