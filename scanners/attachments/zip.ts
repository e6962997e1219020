// Lists a zip archive by its directory and by the local headers both: what either of them shows, somebody sees.
import { constants, inflateRawSync } from 'node:zlib'
import { inflate } from '../mime/inflate.ts'
import type { Octets } from '../mime/octets.ts'
import type { Session } from '../mime/session.ts'
import { HEAD_BYTES } from './kinds.ts'
import { fromRaw } from './words.ts'

export type Entry = {
  names: string[]
  encrypted: boolean
  /** Its first octets, at most `HEAD_BYTES`; none where they can't be read. */
  head(): Buffer
  /** All of it, as far as the limits go. */
  content(): Promise<Octets>
}

/** Undefined: no zip. `more`: there are more entries than the limit. */
export type Listing = { entries: Entry[]; more: boolean }

const LOCAL = Buffer.from('PK\x03\x04', 'latin1')
const CENTRAL = Buffer.from('PK\x01\x02', 'latin1')
const END = Buffer.from('PK\x05\x06', 'latin1')
const LOCAL_BYTES = 30
const CENTRAL_BYTES = 46
const TAIL_BYTES = 65_557
const SEARCH_BYTES = 1024 * 1024
const NAME_BYTES = 4_096
const ENTRIES = 20_000
/** Directory entries for one and the same local header that are looked at. */
const SAME_PLACE = 8
/** Compressed octets that a head is made from: they can't become more than a thousand times as many. */
const HEAD_PACKED_BYTES = 512
const STORED = 0
const DEFLATED = 8
/** APPNOTE 4.4.4: bit 0 encrypted, bit 6 strongly, bit 13 with a masked directory; method 99 is AES. */
const ENCRYPTED_FLAGS = 0x2041
const AES = 99
const UNICODE_PATH = 0x7075

type Header = { flags: number; method: number; packedBytes: number; names: string[] }

export const isZip = (octets: Octets): boolean =>
  /^PK(\x03\x04|\x05\x06|00PK)/.test(octets.slice(0, 6).toString('latin1')) ||
  octets.slice(Math.max(0, octets.sizeBytes - TAIL_BYTES), octets.sizeBytes).includes(END)

export async function listZip(octets: Octets, session: Session): Promise<Listing> {
  const directory = new Map<number, Header[]>()
  let listed = 0
  await headersOf(octets, session, CENTRAL, CENTRAL_BYTES, (header, at) => {
    const room = octets.slice(at + CENTRAL_BYTES, at + CENTRAL_BYTES + NAME_BYTES)
    const offset = header.readUInt32LE(42)
    const before = directory.get(offset) ?? []
    directory.set(offset, [
      ...before.slice(-SAME_PLACE),
      {
        flags: header.readUInt16LE(8),
        method: header.readUInt16LE(10),
        packedBytes: header.readUInt32LE(20),
        names: namesIn(room, header.readUInt16LE(28), header.readUInt16LE(30)),
      },
    ])
    return ++listed <= ENTRIES
  })
  const entries: Entry[] = []
  await headersOf(octets, session, LOCAL, LOCAL_BYTES, (header, at) => {
    const [nameBytes, extraBytes] = [header.readUInt16LE(26), header.readUInt16LE(28)]
    const room = octets.slice(at + LOCAL_BYTES, at + LOCAL_BYTES + NAME_BYTES)
    const local = {
      flags: header.readUInt16LE(6),
      method: header.readUInt16LE(8),
      packedBytes: header.readUInt32LE(18),
      names: namesIn(room, nameBytes, extraBytes),
    }
    const data = at + LOCAL_BYTES + nameBytes + extraBytes
    entries.push(entryOf(octets, session, [local, ...(directory.get(at) ?? [])], data))
    directory.delete(at)
    return entries.length <= ENTRIES
  })
  const more = listed > ENTRIES || entries.length > ENTRIES
  for (const others of directory.values()) entries.push(entryOf(octets, session, others, undefined))
  return { entries, more }
}

/** Calls `take` for each header; it says whether to go on. */
async function headersOf(
  octets: Octets,
  { budget }: Session,
  magic: Buffer,
  bytes: number,
  take: (header: Buffer, at: number) => boolean,
): Promise<void> {
  for (let at = 0; at < octets.sizeBytes && !budget.spent; at += SEARCH_BYTES) {
    await budget.breathe()
    const window = octets.slice(at, at + SEARCH_BYTES + bytes)
    for (
      let i = window.indexOf(magic);
      i >= 0 && i < SEARCH_BYTES;
      i = window.indexOf(magic, i + 4)
    )
      if (i + bytes <= window.length && !take(window.subarray(i, i + bytes), at + i)) return
  }
}

/** The name, and the one in UTF-8 where there is an extra field with it (APPNOTE 4.6.9). */
function namesIn(room: Buffer, nameBytes: number, extraBytes: number): string[] {
  const text = (from: number, to: number): string => fromRaw(room.toString('latin1', from, to))
  const names = [text(0, nameBytes)]
  const end = Math.min(room.length, nameBytes + extraBytes)
  for (let at = nameBytes; at + 4 <= end; at += 4 + room.readUInt16LE(at + 2))
    if (room.readUInt16LE(at) === UNICODE_PATH)
      names.push(text(at + 9, Math.min(end, at + 4 + room.readUInt16LE(at + 2))))
  return names
}

function entryOf(
  octets: Octets,
  session: Session,
  headers: readonly Header[],
  data: number | undefined,
): Entry {
  const encrypted = headers.some(h => (h.flags & ENCRYPTED_FLAGS) !== 0 || h.method === AES)
  const readable = !encrypted && data !== undefined
  const from = data ?? octets.sizeBytes
  const method = headers[0]?.method
  const stored = octets.view(from, from + Math.max(...headers.map(h => h.packedBytes)))
  const deflated = octets.view(from, octets.sizeBytes)
  return {
    names: headers.flatMap(header => header.names).filter(name => !name.endsWith('/')),
    encrypted,
    head() {
      if (readable && method === STORED) return stored.slice(0, HEAD_BYTES)
      if (readable && method === DEFLATED) return inflatedHead(deflated.slice(0, HEAD_PACKED_BYTES))
      return Buffer.alloc(0)
    },
    content: async () => (method === DEFLATED ? inflate(deflated, 'raw', session) : stored),
  }
}

function inflatedHead(packed: Buffer): Buffer {
  try {
    return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, HEAD_BYTES)
  } catch {
    return Buffer.alloc(0)
  }
}
