// Opens S/MIME messages that hold their content inside the signature (CMS signed or compressed data, RFC 5652).
import { inflate } from './inflate.ts'
import type { Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

/** 1.2.840.113549.1.7.2 and 1.2.840.113549.1.9.16.1.9, as they stand in BER. */
const SIGNED_DATA = Buffer.from('06092a864886f70d010702', 'hex')
const COMPRESSED_DATA = Buffer.from('060b2a864886f70d0109100109', 'hex')
const PROBE_BYTES = 64
const NESTING = 32
const ELEMENTS = 100_000
/** Shorter strings are digests and names. */
const CONTENT_BYTES = 48
const OCTET_STRING = 0x04

type Element = { tag: number; from: number; to: number; next: number; isConstructed: boolean }

export async function* openCms(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const probe = octets.slice(0, PROBE_BYTES)
  const isCompressed = probe.includes(COMPRESSED_DATA)
  if (!isCompressed && !probe.includes(SIGNED_DATA)) return
  for await (const content of octetStrings(octets, session)) {
    if (isCompressed) yield { octets: await inflate(content, 'zlib', session), as: 'message' }
    else yield { octets: content, as: 'message' }
  }
}

/** BER's indefinite lengths and strings in pieces are what large messages are written with (RFC 8551 §3.1). */
async function* octetStrings(octets: Octets, session: Session): AsyncGenerator<Octets> {
  const ends: number[] = []
  let count = 0
  for (let at = 0; at < octets.sizeBytes && ++count < ELEMENTS && !session.budget.spent; ) {
    await session.budget.breathe()
    const element = elementAt(octets, at)
    if (!element) return
    if ((element.tag & 0x1f) === OCTET_STRING && element.isConstructed) {
      const { content, next } = joined(octets, element, session)
      if (content.sizeBytes >= CONTENT_BYTES) yield content
      at = next
    } else if (element.isConstructed) {
      if (ends.length >= NESTING) return
      ends.push(element.to)
      at = element.from
    } else {
      if (element.tag === OCTET_STRING && element.to - element.from >= CONTENT_BYTES)
        yield octets.view(element.from, element.to)
      at = element.next
    }
    while ((ends.at(-1) ?? Number.POSITIVE_INFINITY) <= at) ends.pop()
  }
}

/** Undefined where nothing more can be understood. An element of indefinite length goes to the end. */
function elementAt(octets: Octets, at: number): Element | undefined {
  const head = octets.slice(at, at + 8)
  const [tag, length] = [head[0], head[1]]
  if (tag === undefined || length === undefined || (tag & 0x1f) === 0x1f) return undefined
  const isConstructed = (tag & 0x20) !== 0
  const size = octets.sizeBytes
  if (length === 0x80) return { tag, isConstructed, from: at + 2, to: size, next: size }
  const count = length > 0x80 ? length & 0x7f : 0
  if (count > 6 || head.length < 2 + count) return undefined
  const value = count === 0 ? length : head.readUIntBE(2, count)
  const from = at + 2 + count
  const to = Math.min(size, from + value)
  return { tag, isConstructed, from, to, next: to }
}

function joined(
  octets: Octets,
  outer: Element,
  { scratch, budget }: Session,
): { content: Octets; next: number } {
  const sink = scratch.sink(budget)
  let at = outer.from
  while (at < outer.to) {
    const element = elementAt(octets, at)
    // End-of-contents, or something that is no piece of the string.
    if (element?.tag !== OCTET_STRING) break
    if (!sink.write(octets.slice(element.from, element.to))) break
    at = element.next
  }
  const isEnd = octets.slice(at, at + 2).equals(Buffer.alloc(2))
  return { content: sink.finish(), next: Math.max(outer.from, isEnd ? at + 2 : at) }
}
