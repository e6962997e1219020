// Decodes quoted-printable (RFC 2045 §6.7), and what comes near it, in the ways that programs do.
import type { Budget } from './limits.ts'
import { createRoom, type Octets, type Scratch, WINDOW_BYTES } from './octets.ts'

type Way = {
  /** An equals sign that starts nothing: kept, or left out. */
  stray: 'keep' | 'drop'
  /** White space at the end of a line: left out (as the RFC says), or kept. */
  trailing: 'drop' | 'keep'
}

const WAYS: readonly Way[] = [
  { stray: 'keep', trailing: 'drop' },
  { stray: 'keep', trailing: 'keep' },
  { stray: 'drop', trailing: 'drop' },
  { stray: 'drop', trailing: 'keep' },
]

const EQUALS = 0x3d
const LF = 0x0a
const CR = 0x0d
const isBlank = (octet: number | undefined): boolean => octet === 0x20 || octet === 0x09

type Oddities = { encoded: boolean; stray: boolean; trailing: boolean }

export type QuotedPrintableReadings = {
  readings: Octets[]
  /** Decoding changed nothing. */
  unchanged: boolean
}

export async function decodeQuotedPrintable(
  octets: Octets,
  scratch: Scratch,
  budget: Budget,
): Promise<QuotedPrintableReadings> {
  const odd: Oddities = { encoded: false, stray: false, trailing: false }
  const readings: Octets[] = []
  for (const way of WAYS) {
    if (budget.spent) break
    const isNew =
      readings.length === 0 ||
      ((way.stray === 'keep' || odd.stray) && (way.trailing === 'drop' || odd.trailing))
    if (isNew) readings.push(await decode(octets, way, odd, scratch, budget))
  }
  return { readings, unchanged: !odd.encoded && !odd.stray }
}

async function decode(
  octets: Octets,
  way: Way,
  odd: Oddities,
  scratch: Scratch,
  budget: Budget,
): Promise<Octets> {
  const sink = scratch.sink(budget, octets.sizeBytes)
  const [room, place] = [createRoom(), createRoom()]
  let rest = Buffer.alloc(0)
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    await budget.breathe()
    const isLast = at + WINDOW_BYTES >= octets.sizeBytes
    const text = Buffer.concat([rest, octets.slice(at, at + WINDOW_BYTES, room)])
    const end = isLast ? text.length : breakBefore(text)
    rest = text.subarray(end)
    const out = place.of(end)
    const count = decodeText(text.subarray(0, end), way, odd, out)
    if (!sink.write(out.subarray(0, count))) break
  }
  return sink.finish()
}

/** Where a text can be cut: after a line, or, in a line without end, before what may be an escape. */
function breakBefore(text: Buffer): number {
  const lf = text.lastIndexOf(LF)
  if (lf >= 0) return lf + 1
  const equals = text.lastIndexOf(EQUALS)
  return equals >= text.length - 3 && equals > 0 ? equals : text.length
}

/** Into `out`, which has room for the text; so many octets. */
function decodeText(text: Buffer, way: Way, odd: Oddities, out: Buffer): number {
  let count = 0
  let i = 0
  while (i < text.length) {
    const octet = text[i] ?? 0
    if (octet === EQUALS) {
      const value = (hex(text[i + 1]) << 4) | hex(text[i + 2])
      const end = value >= 0 ? i + 3 : lineEndAfter(text, i + 1)
      if (end > 0) odd.encoded = true
      else odd.stray = true
      if (value >= 0) out[count++] = value
      else if (end === 0 && way.stray === 'keep') out[count++] = octet
      i = end > 0 ? end : i + 1
    } else {
      if (octet === LF || octet === CR) count -= trailingBlanks(text, i, way, odd)
      out[count++] = octet
      i++
    }
  }
  return i === text.length ? count - trailingBlanks(text, i, way, odd) : count
}

/** How many octets of white space before a line's end are to be left out. */
function trailingBlanks(text: Buffer, end: number, way: Way, odd: Oddities): number {
  let from = end
  while (isBlank(text[from - 1])) from--
  if (from < end) odd.trailing = true
  return way.trailing === 'drop' ? end - from : 0
}

/** Where the next line starts if only white space lies before it; 0 otherwise. */
function lineEndAfter(text: Buffer, from: number): number {
  let i = from
  while (isBlank(text[i])) i++
  if (i >= text.length || text[i] === LF) return i + 1
  return text[i] === CR ? i + (text[i + 1] === LF ? 2 : 1) : 0
}

function hex(octet: number | undefined): number {
  if (octet === undefined) return -1
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const letter = octet | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
