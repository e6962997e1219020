// Finds what is written into a text without a label: base64, hexadecimal, uuencode and yEnc.
import { decodeBase64 } from './base64.ts'
import { createRoom, inMemory, type Octets, WINDOW_BYTES, windows } from './octets.ts'
import type { Piece, Range, Session } from './session.ts'
import { decodeUuencode, decodeYenc } from './uuencode.ts'

/** Letters in a row, line breaks and quotes between them not counted, below which a blob can't carry anything. */
const BLOB_LETTERS = 64
/** Different letters a blob has at least: lines drawn with hyphens and letters have fewer. */
const BLOB_ALPHABET = 10
/** From so many letters on, a word behind a blob, which may be its last line, is always taken with it. */
const LARGE_LETTERS = 262_144
/** Letters in a row that may be a piece of a blob. */
const PIECE_LETTERS = 16
const LETTERS = new Uint8Array(256)
for (let code = 0; code < 256; code++)
  LETTERS[code] = /[\w+/-]/.test(String.fromCharCode(code)) ? 1 : 0
const EQUALS = 0x3d
const GAP = /^[\s"'>,\\]{0,64}$/
const TAIL = /[\s"'>,\\]{1,16}[\w+/-]{1,15}={0,2}/y
/** Without a mode only where the next line can be nothing else. */
const BEGIN =
  /^(?:begin(-base64)?[ \t]+(?:[0-7]{3,6}\b|(?=[^\r\n]{1,200}\r?\n[!-M][ -`]{20,62}\r?\n))|=ybegin )[^\n]*\n?/gim
const HEXADECIMAL = /^[0-9a-f\s"'>,\\]+$/i

type Blob = Range & { letters: number; ways: Range[] }

/** All that stands in the text outside `covered`, which must be in order. */
export async function* sweep(
  octets: Octets,
  covered: readonly Range[],
  session: Session,
): AsyncGenerator<Piece> {
  let at = 0
  for (const range of [...covered, { from: octets.sizeBytes, to: octets.sizeBytes }]) {
    if (range.from > at) yield* sweepRange(octets, at, range.from, session)
    at = Math.max(at, range.to)
  }
}

async function* sweepRange(
  octets: Octets,
  from: number,
  to: number,
  session: Session,
): AsyncGenerator<Piece> {
  const { budget } = session
  let blob: Blob | undefined
  let encodedUpTo = from
  const yencParts: Octets[] = []
  const room = createRoom()
  for (let at = from; at < to && !budget.spent; ) {
    await budget.breathe()
    const window = octets.slice(at, Math.min(to, at + WINDOW_BYTES), room)
    const raw = window.toString('latin1')
    const text = at + raw.length < to ? raw.slice(0, cutOf(raw)) : raw
    for (const match of text.matchAll(BEGIN)) {
      const start = at + match.index
      if (start < encodedUpTo) continue
      if (!budget.takePart()) return
      const found = await unwrap(octets, start, match, session)
      encodedUpTo = found.end
      if (/^=y.*\bpart=/i.test(match[0])) yencParts.push(...found.pieces.map(each => each.octets))
      yield* found.pieces
    }
    const lines = window.subarray(0, text.length)
    for (const { from: start, to: end } of piecesIn(lines, blob?.to === at)) {
      const gap = blob && text.slice(Math.max(0, blob.to - at), start)
      if (blob && gap !== undefined && blob.to >= at - 64 && GAP.test(gap)) {
        if (blob.ways.length < 3) blob.ways.push({ from: at + start, to: 0 })
        blob.to = at + end
        blob.letters += end - start
      } else {
        if (blob) yield* open(octets, blob, session)
        blob = newBlob(at + start, at + end)
      }
    }
    if (blob && blob.to < at + text.length) {
      TAIL.lastIndex = blob.to - at
      const tail = blob.to >= at && blob.letters >= BLOB_LETTERS && TAIL.exec(text)
      const isWhole = at + text.length >= to || blob.to + 80 < at + text.length
      if (isWhole) {
        if (!tail || blob.letters < LARGE_LETTERS) yield* open(octets, blob, session)
        if (tail) yield* open(octets, { ...blob, to: blob.to + tail[0].length }, session)
        blob = undefined
      }
    }
    at += text.length
  }
  if (blob) yield* open(octets, blob, session)
  if (yencParts.length > 1) yield { octets: joined(yencParts, session), as: 'file' }
}

/** One file in several parts, in the order in which they stand. */
function joined(parts: readonly Octets[], { scratch, budget }: Session): Octets {
  const sink = scratch.sink(budget)
  for (const part of parts) for (const window of windows(part)) if (!sink.write(window)) break
  return sink.finish()
}

const newBlob = (from: number, to: number): Blob => ({
  from,
  to,
  letters: to - from,
  ways: [{ from, to: 0 }],
})

/** At the end of a line, so that no blob's last line is taken for a word; in a line without end, anywhere. */
function cutOf(text: string): number {
  const lf = text.lastIndexOf('\n')
  if (lf >= 0) return lf + 1
  const edge = text.search(/[^\w+/=-][\w+/=-]*$/)
  return edge > 0 ? edge + 1 : text.length
}

/** Rows of letters, with up to two equals signs behind. A row long enough covers a place looked at: the rest is skipped. */
function* piecesIn(text: Buffer, continues: boolean): Generator<Range> {
  const first = continues ? rowEnd(text, 0) : 0
  if (first > 0) yield { from: 0, to: padded(text, first) }
  for (let at = first + PIECE_LETTERS - 1; at < text.length; at += PIECE_LETTERS) {
    if (!isLetter(text, at)) continue
    let from = at
    while (from > first && isLetter(text, from - 1)) from--
    const to = rowEnd(text, at)
    if (to - from < PIECE_LETTERS) continue
    yield { from, to: padded(text, to) }
    at = to
  }
}

const isLetter = (text: Buffer, at: number): boolean => LETTERS[text[at] ?? 0] === 1

function rowEnd(text: Buffer, from: number): number {
  let end = from
  while (end < text.length && isLetter(text, end)) end++
  return end
}

const padded = (text: Buffer, end: number): number =>
  text[end] !== EQUALS ? end : text[end + 1] === EQUALS ? end + 2 : end + 1

/** A blob of several pieces may start with a word that only stands before it, so it is read from the second too. */
async function* open(octets: Octets, blob: Blob, session: Session): AsyncGenerator<Piece> {
  if (blob.letters < BLOB_LETTERS) return
  const sample = octets.slice(blob.from, Math.min(blob.to, blob.from + 4096)).toString('latin1')
  if (new Set(sample).size < BLOB_ALPHABET) return
  for (const { from } of blob.ways) {
    if (from > blob.from && blob.to - from < BLOB_LETTERS / 2) continue
    const view = octets.view(from, blob.to)
    const { readings } = await decodeBase64(view, session.scratch, session.budget, 3)
    for (const reading of readings) yield { octets: reading, as: 'file' }
    if (HEXADECIMAL.test(sample) && blob.to - from < session.budget.limits.memoryBytes * 8)
      yield { octets: unhex(view), as: 'file' }
    // Whole lines: the beginning is not in doubt.
    if (
      (view
        .slice(0, 96)
        .toString('latin1')
        .match(/^[\w+/-]+/)?.[0].length ?? 0) %
        4 ===
      0
    )
      break
  }
}

const unhex = (octets: Octets): Octets => {
  const digits = octets.slice(0, octets.sizeBytes).toString('latin1')
  return inMemory(Buffer.from(digits.replace(/[^0-9a-f]/gi, ''), 'hex'))
}

async function unwrap(
  octets: Octets,
  start: number,
  match: RegExpExecArray,
  { scratch, budget }: Session,
): Promise<{ pieces: Piece[]; end: number }> {
  const from = start + match[0].length
  const line = match[0].replace(/^=ybegin .*?name=|^begin\S*\s+\d+/i, '').trim()
  const asFile = (found: Octets): Piece => ({ octets: found, as: 'file', name: line })
  if (match[0].startsWith('=y')) {
    const { octets: file, end } = await decodeYenc(octets, from, scratch, budget)
    return { pieces: [asFile(file)], end }
  }
  // `begin-base64`: what follows is found as a blob.
  if (match[1] !== undefined) return { pieces: [], end: from }
  const counted = await decodeUuencode(octets, from, false, scratch, budget)
  const whole = await decodeUuencode(octets, from, true, scratch, budget)
  return { pieces: [asFile(counted.octets), asFile(whole.octets)], end: counted.end }
}
