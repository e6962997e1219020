// Reads HTML and scripts as a browser would far enough to see the files that they build: escapes, pieces, numbers.
import { inMemory, type Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

/** Text is read in stretches, each beginning before the end of the one before. */
const STRETCH_BYTES = 2 * 1024 * 1024
const OVERLAP_BYTES = 256 * 1024
const SAMPLE_BYTES = 16_384
const CONTROL_SHARE = 0.04
const SCRIPTED =
  /<(?:script|svg|html|body|a|img|iframe|object|embed|meta)\b|data:|atob|charcode|int8array|unescape|\bvar\b|\blet\b|\bconst\b/i
/** Numbers in a row, at least, that count as a file. */
const NUMBERS = 16
const LIST = /(?:0x[0-9a-f]{1,2}|\d{1,3})\s{0,8},\s{0,8}\d/gi
const LIST_END = /[^0-9a-fx,\s]/gi
const NUMBER = /^\s*(?:0x[0-9a-f]{1,2}|\d{1,3})\s*$/i
const DATA_URI = /\bdata:([^,:"'<>\s]{0,200}),/gi
const DATA_END = /["'<>)]|$/g

export async function* unravel({ octets, as }: Piece, session: Session): AsyncGenerator<Piece> {
  if (as === 'message' || (as === 'file' && isBinary(octets))) return
  for (let at = 0; at < octets.sizeBytes; at += STRETCH_BYTES - OVERLAP_BYTES) {
    await session.budget.breathe()
    const { text, isWide } = textOf(octets.slice(at, at + STRETCH_BYTES))
    if (isWide) yield { octets: inMemory(Buffer.from(text, 'latin1')), as: 'text' }
    else if (SCRIPTED.test(text)) yield* unravelText(text, session)
    if (at + STRETCH_BYTES >= octets.sizeBytes) return
  }
}

async function* unravelText(text: string, { budget }: Session): AsyncGenerator<Piece> {
  for (const { run } of runs(text, LIST, LIST_END)) yield* numbersIn(run)
  await budget.breathe()
  for (const { match, run } of runs(text, DATA_URI, DATA_END)) {
    const [whole, type = ''] = match
    const plain = unescaped(run.slice(whole.length))
    const isBase64 = /;\s*base64/i.test(unescaped(type))
    yield { octets: inMemory(Buffer.from(plain, isBase64 ? 'base64' : 'latin1')), as: 'file' }
  }
  await budget.breathe()
  const joined = unescaped(text.replace(/(["'`])\s{0,64}\+\s{0,64}["'`]/g, ''))
  if (joined !== text) yield { octets: inMemory(Buffer.from(joined, 'latin1')), as: 'text' }
}

/** More control characters than any text has, at its beginning; UTF-16 has its own. */
function isBinary(octets: Octets): boolean {
  const sample = octets.slice(0, SAMPLE_BYTES)
  const isControl = (octet: number): boolean => octet > 0 && octet < 32 && (octet < 7 || octet > 13)
  return sample.filter(isControl).length > sample.length * CONTROL_SHARE
}

/** From each match of `start` to before the next of `end`: a pattern for all of it would overflow its stack. */
function* runs(
  text: string,
  start: RegExp,
  end: RegExp,
): Generator<{ match: RegExpExecArray; run: string }> {
  const from = new RegExp(start)
  const to = new RegExp(end)
  for (let match = from.exec(text); match; match = from.exec(text)) {
    to.lastIndex = match.index + match[0].length
    const stop = to.exec(text)?.index ?? text.length
    yield { match, run: text.slice(match.index, stop) }
    from.lastIndex = Math.max(stop, match.index + 1)
  }
}

function* numbersIn(list: string): Generator<Piece> {
  let values: number[] = []
  for (const item of [...list.split(','), '']) {
    const value = NUMBER.test(item) ? Number(item) : 256
    if (value <= 255) values.push(value)
    else {
      if (values.length >= NUMBERS) yield { octets: inMemory(Buffer.from(values)), as: 'file' }
      values = []
    }
  }
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
    /[%\\]u\{?([0-9a-f]{4})\}?|(?:%|\\x)([0-9a-f]{2})|&#x0*([0-9a-f]{1,4});?|&#0*(\d{1,5});?|\\([/'"\\nrt]|\r?\n)|&(amp|plus|equals|sol|NewLine|Tab);/gi,
    (whole, u?: string, x?: string, hexadecimal?: string, decimal?: string, literal?: string) => {
      if (u !== undefined) return character(u, 16)
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
