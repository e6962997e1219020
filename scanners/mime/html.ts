// Reads HTML and scripts as a browser would far enough to see the files that they build: escapes, pieces, numbers.
import { inMemory, type Octets } from './octets.ts'
import { readNumbers, readScript, runs } from './script.ts'
import type { Piece, Session } from './session.ts'

/** Text is read in stretches, each beginning before the end of the one before. */
const STRETCH_BYTES = 2 * 1024 * 1024
const OVERLAP_BYTES = 256 * 1024
const SAMPLE_BYTES = 16_384
const CONTROL_SHARE = 0.04
const CONTROLS = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet > 0 && octet < 32 && (octet < 7 || octet > 13) ? 1 : 0,
)
const SCRIPTED =
  /<(?:script|svg|style|input|html|body|a|img|iframe|object|embed|meta)\b|da[\t\r\n]*t[\t\r\n]*a[\t\r\n]*:|atob|certutil|charcode|int8array|unescape|\bvar\b|\blet\b|\bconst\b/i
const DATA_URI = /\bdata:([^,:"'<>\s]{0,200}),/gi
/** `data:` or what follows it, with a tab or a line break in it. */
const BROKEN_DATA = /\bd[\t\r\n]*a[\t\r\n]*t[\t\r\n]*a[\t\r\n]*:/i
const DATA_END = /["'<>)]|$/g

/** Readings of readings, at most. */
const REWRITTEN = 2

export async function* unravel(
  { octets, as, rewritten = 0 }: Piece,
  session: Session,
): AsyncGenerator<Piece> {
  if (as === 'message' || (as === 'file' && isBinary(octets))) return
  for (let at = 0; at < octets.sizeBytes; at += STRETCH_BYTES - OVERLAP_BYTES) {
    await session.budget.breathe()
    const { text, isWide } = textOf(octets.slice(at, at + STRETCH_BYTES))
    if (isWide) yield { octets: inMemory(Buffer.from(text, 'latin1')), as: 'text' }
    else if (rewritten < REWRITTEN && SCRIPTED.test(text))
      for await (const piece of unravelText(text, session))
        yield piece.as === 'text' ? { ...piece, rewritten: rewritten + 1 } : piece
    if (at + STRETCH_BYTES >= octets.sizeBytes) return
  }
}

async function* unravelText(text: string, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  yield* readNumbers(text)
  await budget.breathe()
  for (const { match, run } of runs(text, DATA_URI, DATA_END)) {
    const [whole, type = ''] = match
    const plain = unescaped(run.slice(whole.length))
    const isBase64 = /;\s*base64/i.test(unescaped(type))
    yield { octets: inMemory(Buffer.from(plain, isBase64 ? 'base64' : 'latin1')), as: 'file' }
  }
  await budget.breathe()
  yield* readScript(text, session)
  const joined = text.replace(/(["'`])\s{0,64}\+\s{0,64}["'`]/g, '')
  for (const reading of new Set([unescaped(joined), withoutBreaks(joined)]))
    if (reading !== text) yield { octets: inMemory(Buffer.from(reading, 'latin1')), as: 'text' }
}

/** Octets that browsers overlook: NULs, ISO-2022's shifts, and in addresses tabs and line breaks. */
const withoutBreaks = (text: string): string => {
  const plain = text.replace(/\0|\x1b[($][\x20-\x7e]{0,2}?[@-Z]/g, '')
  return BROKEN_DATA.test(plain) ? plain.replace(/[\t\r\n]/g, '') : plain
}

/** More control characters than any text has, at its beginning; UTF-16 has its own. */
function isBinary(octets: Octets): boolean {
  const sample = octets.slice(0, SAMPLE_BYTES)
  let controls = 0
  for (let i = 0; i < sample.length; i++) controls += CONTROLS[sample[i] ?? 0] ?? 0
  return controls > sample.length * CONTROL_SHARE
}

/** UTF-16 (by its mark, or by every second octet being NUL) narrowed to Latin-1. */
function textOf(buffer: Buffer): { text: string; isWide: boolean } {
  const even = buffer.length & ~1
  const [first, second] = [buffer[0], buffer[1]]
  const isBig = (first === 0xfe && second === 0xff) || (first === 0 && second !== 0)
  const isLittle =
    (first === 0xff && second === 0xfe) || (first !== 0 && second === 0 && buffer[3] === 0)
  if (buffer.length < 4 || !(isBig || isLittle))
    return { text: buffer.toString('latin1'), isWide: false }
  const wide = Buffer.from(buffer.subarray(0, even))
  if (isBig) wide.swap16()
  return { text: wide.toString('utf16le').replace(/^\ufeff/, ''), isWide: true }
}

/** Percent, backslash and ampersand escapes of any language read at once; what isn't one stays as it is. */
function unescaped(text: string): string {
  const character = (digits: string | undefined, radix: number): string => {
    const code = Number.parseInt(digits ?? '', radix)
    return code <= 0xff ? String.fromCharCode(code) : '?'
  }
  return text.replace(
    /[%\\]u(?:\{0*([0-9a-f]{1,4})\}|([0-9a-f]{4}))|\\([0-9a-f]{2}) |\\0*([0-7]{2,3})(?![0-9a-f])|(?:%|\\x)([0-9a-f]{2})|&#x0*([0-9a-f]{1,4});?|&#0*(\d{1,5});?|\\([/'"\\nrt]|\r?\n)|&(amp|plus|equals|sol|NewLine|Tab);/gi,
    (whole, braced?: string, u?: string, css?: string, octal?: string, ...others: string[]) => {
      const [x, hexadecimal, decimal, literal] = others
      const digits = braced ?? u ?? css
      if (digits !== undefined) return character(digits, 16)
      if (octal !== undefined) return character(octal, 8)
      if (x !== undefined) return character(x, 16)
      if (hexadecimal !== undefined) return character(hexadecimal, 16)
      if (decimal !== undefined) return character(decimal, 10)
      if (literal !== undefined) return /[nrt]/i.test(literal) ? '\n' : literal.trim()
      return ENTITIES[whole.slice(1, -1).toLowerCase()] ?? whole
    },
  )
}

const ENTITIES: Record<string, string> = {
  amp: '&',
  plus: '+',
  equals: '=',
  sol: '/',
  newline: '\n',
  tab: '\t',
}
