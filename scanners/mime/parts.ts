// Takes a text apart into body parts in every way that some mail program would, from the lines that could delimit them.
//
// It does not follow the tree of boundaries: programs disagree on how a boundary is written, where preamble and
// epilogue end, and which of two counts. But each part that any of them sees starts after a line with two hyphens,
// or is the body of a message. So each such place is looked at, however deep it lies, in one pass.
import { decodeBase64 } from './base64.ts'
import {
  declaredTokens,
  type Encoding,
  encodingsOf,
  isContentField,
  type Kinds,
  kindsOf,
} from './content-fields.ts'
import { type Delimiters, findDelimiters } from './delimiter.ts'
import { type HeaderSection, readHeader } from './header.ts'
import type { Octets } from './octets.ts'
import type { Part } from './part.ts'
import { decodeQuotedPrintable } from './quoted-printable.ts'
import type { Piece, Range, Session } from './session.ts'
import { LEAST_CUT_BYTES } from './skeleton.ts'
import { sweep } from './sweep.ts'
import { decodeUuencode } from './uuencode.ts'

/** Lines looked at for the next declared delimiter. */
const LOOK_AHEAD_LINES = 1_000
/** A body labelled base64 that isn't is also given as it stands, up to this size. */
const MISLABELLED_BYTES = 65_536

type Text = {
  octets: Octets
  session: Session
  delimiters: Delimiters
  declared: Set<number>
  covered: Range[]
  done: Set<string>
}

/** Where a header section starts: after which delimiter (-1: none), and where what it describes may end. */
type Start = { from: number; delimiter: number; ends?: number[]; depth: number; isMessage: boolean }

export async function* readParts(piece: Piece, session: Session): AsyncGenerator<Piece> {
  const { octets } = piece
  const delimiters = await findDelimiters(octets, session.budget)
  if (!delimiters) return
  const text: Text = {
    octets,
    session,
    delimiters,
    declared: new Set(),
    covered: [],
    done: new Set(),
  }
  const isMessage = piece.as === 'message'
  if (isMessage || startsLikeHeader(octets, 0))
    yield* readEntity(text, { from: 0, delimiter: -1, depth: 0, isMessage })
  for (let i = 0; i < delimiters.count && !session.budget.spent; i++) {
    if (!delimiters.hasFields(i)) continue
    await session.budget.breathe()
    const start = { from: delimiters.next(i), delimiter: i, depth: 0, isMessage: false }
    yield* readEntity(text, start)
  }
  text.covered.sort((a, b) => a.from - b.from)
  yield* sweep(octets, text.covered, session)
}

const startsLikeHeader = (octets: Octets, at: number): boolean =>
  /^[\x21-\x39\x3b-\x7e]{2,80}[ \t]*:/.test(octets.slice(at, at + 100).toString('latin1'))

async function* readEntity(text: Text, start: Start): AsyncGenerator<Piece> {
  const { octets, session } = text
  const { budget } = session
  if (start.depth > budget.limits.depth) return budget.stop('too-deep')
  const header = readHeader(octets, start.from, octets.sizeBytes, budget.limits.headerBytes)
  const hasContentFields = header.fields.some(isContentField)
  if (!hasContentFields && !start.isMessage) return
  if (header.tooLarge) budget.note('too-large')
  if (start.isMessage)
    text.covered.push({ from: start.from, to: header.bodyStarts[0] ?? start.from })
  const kinds = kindsOf(header.fields)
  if (kinds.partial) budget.note('message-partial')
  if (kinds.externalBody) budget.note('message-external-body')
  if (kinds.encrypted) budget.note('encrypted-mail')
  for (const token of declaredTokens(header.fields)) text.declared.add(token)
  const part: Part = { fields: header.fields, from: start.from, ends: new Set() }
  session.met?.(part)
  for await (const piece of readBodies(text, start, header, kinds, part))
    yield piece.part ? piece : { ...piece, part }
}

async function* readBodies(
  text: Text,
  start: Start,
  header: HeaderSection,
  kinds: Kinds,
  part: Part,
): AsyncGenerator<Piece> {
  const { budget } = text.session
  const encodings = encodingsOf(header.fields)
  let readings = 0
  for (const from of header.bodyStarts) {
    const ends = endsOf(text, from, start, kinds)
    const isSure = header.bodyStarts.length * ends.length * encodings.size === 1
    for (const to of ends)
      for (const encoding of encodings) {
        part.ends.add(to)
        if (to <= from || budget.spent) continue
        if (++readings > budget.limits.readings) return budget.note('ambiguous')
        const key = `${from} ${to} ${encoding}`
        if (text.done.has(key)) continue
        text.done.add(key)
        if (encoding === 'identity') yield* asItIs(text, { from, to }, start, kinds, isSure)
        else yield* decoded(text, { from, to }, encoding, kinds, isSure)
      }
  }
}

/** Without a delimiter of its own a body goes to the end; so does the last one where the final delimiter is missing. */
function endsOf(text: Text, from: number, start: Start, kinds: Kinds): number[] {
  const { delimiters, declared, octets } = text
  const after = delimiters.after(from)
  const beforeLine = (index: number): number => bodyEnd(octets, from, delimiters.start(index))
  const last = start.ends ?? [octets.sizeBytes]
  const next = after < delimiters.count ? beforeLine(after) : undefined
  if (start.delimiter < 0)
    return kinds.multipart && next !== undefined ? [...new Set([next, ...last])] : last
  const ends = new Set<number>()
  const most = Math.min(delimiters.count, after + LOOK_AHEAD_LINES)
  for (let i = after; i < most && ends.size === 0; i++)
    if (declared.has(delimiters.token(i))) ends.add(beforeLine(i))
  const same = delimiters.sameAfter(start.delimiter)
  if (same >= 0) ends.add(beforeLine(same))
  if (next !== undefined && !declared.has(delimiters.token(start.delimiter))) ends.add(next)
  return ends.size > 0 ? [...ends] : last
}

/** The line break before a delimiter is part of it (RFC 2046 §5.1.1). */
function bodyEnd(octets: Octets, from: number, delimiter: number): number {
  const before = octets.slice(Math.max(from, delimiter - 2), delimiter).toString('latin1')
  return Math.max(from, delimiter - (/\r\n$/.test(before) ? 2 : /[\r\n]$/.test(before) ? 1 : 0))
}

async function* asItIs(
  text: Text,
  range: Range,
  start: Start,
  kinds: Kinds,
  isSure: boolean,
): AsyncGenerator<Piece> {
  const { from, to } = range
  if (kinds.message || startsLikeHeader(text.octets, from)) {
    const { depth, delimiter } = start
    const ends = delimiter < 0 && start.ends ? start.ends : [to]
    const inner = { from, delimiter: -1, ends, depth: depth + 1, isMessage: kinds.message }
    yield* readEntity(text, inner)
    if (kinds.message) return
  }
  if (kinds.multipart || kinds.plain) return
  text.covered.push(range)
  yield { octets: text.octets.view(from, to), as: 'text', isShown: isSure && kinds.shown }
}

async function* decoded(
  text: Text,
  range: Range,
  encoding: Encoding,
  kinds: Kinds,
  isSure: boolean,
): AsyncGenerator<Piece> {
  const { scratch, budget } = text.session
  const view = text.octets.view(range.from, range.to)
  const as = kinds.message ? 'message' : kinds.text ? 'text' : 'file'
  if (encoding === 'base64') {
    text.covered.push(range)
    const { readings, regular, clean } = await decodeBase64(view, scratch, budget)
    const isCuttable = isSure && clean && as === 'file' && view.sizeBytes >= LEAST_CUT_BYTES
    const isShown = isSure && clean && kinds.shown
    for (const octets of readings)
      yield isCuttable ? { octets, as, cut: range } : { octets, as, isShown }
    if (!regular && view.sizeBytes <= MISLABELLED_BYTES) yield { octets: view, as: 'text' }
  } else if (encoding === 'quoted-printable') {
    const { readings, unchanged } = await decodeQuotedPrintable(view, scratch, budget)
    if (unchanged && kinds.plain) return
    text.covered.push(range)
    const isShown = isSure && kinds.shown && readings.length === 1
    for (const octets of readings) yield { octets, as: kinds.message ? 'message' : 'text', isShown }
  } else {
    // With its first line it is found like any other; without, all of it is the file.
    yield { octets: view, as: 'text' }
    if (encoding === 'uuencode')
      yield { octets: (await decodeUuencode(view, 0, false, scratch, budget)).octets, as }
  }
}
