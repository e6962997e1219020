// Opens TNEF, Outlook's winmail.dat ([MS-OXTNEF]): the data of each attribute is a piece of its own.
import type { Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

const SIGNATURE_BYTES = 6
/** Level, attribute and length before the data; a checksum behind it. */
const ATTRIBUTE_BYTES = 9
const CHECKSUM_BYTES = 2
const ATTACH_DATA = 0x0006800f
/** A MAPI property's binary value starts with this interface's name where it is an embedded message or object. */
const OBJECT_BYTES = 16
const BINARY = 0x0102
const OBJECT = 0x000d
const ATTACH_DATA_PROPERTY = 0x3701
const MAPI = new Set([0x00069003, 0x00069005])
const SEARCH_BYTES = 4096

/** Attributes without end, wrong lengths, or wrong checksums: what is there is taken as it stands. */
export async function* openTnef(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  for (let at = SIGNATURE_BYTES; at + ATTRIBUTE_BYTES <= octets.sizeBytes && !budget.spent; ) {
    await budget.breathe()
    const head = octets.slice(at, at + ATTRIBUTE_BYTES)
    const attribute = head.readUInt32LE(1)
    const from = at + ATTRIBUTE_BYTES
    const to = Math.min(octets.sizeBytes, from + head.readUInt32LE(5))
    if (attribute === ATTACH_DATA) yield { octets: octets.view(from, to), as: 'file' }
    else if (MAPI.has(attribute)) yield* openProperties(octets.view(from, to))
    else if (to - from > SEARCH_BYTES / 16) yield { octets: octets.view(from, to), as: 'file' }
    at = to + CHECKSUM_BYTES
  }
}

/** Binary values are found by their property's tag, wherever they are: the list need not be right before them. */
function* openProperties(list: Octets): Generator<Piece> {
  yield { octets: list, as: 'file' }
  const start = list.slice(0, SEARCH_BYTES)
  for (let i = 0; i + 16 <= start.length; i += 4) {
    const type = start.readUInt16LE(i)
    if (type !== BINARY && type !== OBJECT) continue
    if (start.readUInt16LE(i + 2) !== ATTACH_DATA_PROPERTY) continue
    // The count of values, their length, and for an object its interface.
    const from = i + 12
    const to = from + start.readUInt32LE(i + 8)
    yield { octets: list.view(from, to), as: 'file' }
    if (type === OBJECT) yield { octets: list.view(from + OBJECT_BYTES, to), as: 'file' }
  }
}
