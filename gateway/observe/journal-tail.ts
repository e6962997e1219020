// Follows the journal files of one instance from their beginning, whole lines only.
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import {
  type JournalEntry,
  journalFileParts,
  LINE_BYTES,
  parseJournalLine,
} from './journal-line.ts'

const CHUNK_BYTES = 256 * 1024

export type JournalTail = {
  /** Hands every new entry to `each`, in order; lines that are torn or garbled are skipped and counted. */
  read(each: (entry: JournalEntry) => void): Promise<void>
  garbled(): number
}

/** `folder` may not exist yet. Memory does not grow with the journal. */
export function createJournalTail(folder: string, instance: string): JournalTail {
  const offsets = new Map<string, number>()
  let garbled = 0
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)

  const readFile = async (name: string, each: (entry: JournalEntry) => void) => {
    let offset = offsets.get(name) ?? 0
    await using file = await open(path.join(folder, name))
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, offset)
      const end = chunk.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
      // Nothing that long is a line of ours.
      const skip = end === 0 && bytesRead > LINE_BYTES ? bytesRead : end
      if (skip === 0) return
      for (const line of chunk.toString('utf8', 0, end).split('\n')) {
        if (line === '') continue
        const entry = parseJournalLine(line)
        if (entry === undefined) garbled++
        else each(entry)
      }
      offset += skip
      offsets.set(name, offset)
    }
  }

  return {
    async read(each) {
      const names = (await readdir(folder).catch(() => [])).filter(
        name => journalFileParts(name)?.instance === instance,
      )
      for (const name of names.sort()) await readFile(name, each)
    },
    garbled: () => garbled,
  }
}
