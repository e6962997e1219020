// Zip archives of two entries, of which the directory names one.
import { storedZip } from './building.ts'

/** Two local entries; the directory knows only the harmless one in front. */
export function storedEntries(payload: string, hidden: string): Buffer {
  const front = storedZip(hidden)
  const directory = front.indexOf('PK\x01\x02', 0, 'latin1')
  const entry = storedZip(payload)
  const inside = entry.subarray(0, entry.indexOf('PK\x01\x02', 0, 'latin1'))
  const tail = Buffer.from(front.subarray(directory))
  tail.writeUInt32LE(directory + inside.length, tail.length - 6)
  return Buffer.concat([front.subarray(0, directory), inside, tail])
}
