// Decodes quoted-printable (RFC 2045 §6.7), and what comes near it, in the ways that programs do.
import type { Budget } from './limits.ts'
import { type Octets, type Scratch, WINDOW_BYTES } from './octets.ts'

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
  const sink = scratch.sink(budget)
  let rest = Buffer.alloc(0)
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    await budget.breathe()
    const isLast = at + WINDOW_BYTES >= octets.sizeBytes
    const text = Buffer.concat([rest, octets.slice(at, at + WINDOW_BYTES)])
    const end = isLast ? text.length : breakBefore(text)
    rest = text.subarray(end)
    if (!sink.write(decodeText(text.subarray(0, end), way, odd))) break
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

function decodeText(text: Buffer, way: Way, odd: Oddities): Buffer {
  const out = Buffer.allocUnsafe(text.length)
  let count = 0
  for (let i = 0; i < text.length; ) {
    const octet = text[i] ?? 0
    if (octet === EQUALS) {
      const value = (hex(text[i + 1]) << 4) | hex(text[i + 2])
      const end = lineEndAfter(text, i + 1)
      if (value >= 0) {
        out[count++] = value
        i += 3
        odd.encoded = true
      } else if (end > 0) {
        i = end
        odd.encoded = true
      } else {
        if (way.stray === 'keep') out[count++] = octet
        odd.stray = true
        i++
      }
    } else if (isBlank(octet)) {
      let end = i + 1
      while (isBlank(text[end])) end++
      const isTrailing = end === text.length || text[end] === LF || text[end] === CR
      if (isTrailing) odd.trailing = true
      if (!isTrailing || way.trailing === 'keep') {
        text.copy(out, count, i, end)
        count += end - i
      }
      i = end
    } else {
      out[count++] = octet
      i++
    }
  }
  return out.subarray(0, count)
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
