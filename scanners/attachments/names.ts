// What a part may be called: each name that some mail program would give its file, and each type claimed for it.

import { type Field, valuesOf, withoutComments } from '../mime/header.ts'
import { encodedWordsDecoded, fromRaw, inCharset, percentDecoded } from './words.ts'

/** Readings of one part's name, and parameters they come from; more than anybody needs. */
const NAMES = 100
const PARAMETERS = 100
/** Of a parameter's value, so much is read. */
const VALUE_LENGTH = 4_096
const TYPES = 8
/** Characters of a name that are reported: from its beginning, and from its end, where its extension is. */
const NAME_HEAD = 120
const NAME_TAIL = 135
const TYPE_LENGTH = 100
/** U+202D and U+202E turn letters round. What only embeds Hebrew or Arabic in a name is no trick. */
const OVERRIDE = /[\u202d\u202e]/

export type Names = {
  /** As they would be written to a disk, in the case they have; printable. */
  names: string[]
  /** A name turns its letters round, so that people see another extension than the system does. */
  turned: boolean
  /** There are more readings than the limit. */
  tooMany: boolean
}

/** From Content-Disposition and Content-Type (RFC 2183 §2.3, RFC 2045 §5), every one there is of them. */
export function namesOf(fields: readonly Field[], more: readonly string[] = []): Names {
  const raw = new Set<string>(more)
  let tooMany = false
  for (const name of ['content-disposition', 'content-type'])
    for (const value of valuesOf(fields, name))
      for (const text of new Set([value, withoutComments(value)])) {
        const parameters = [...text.matchAll(PARAMETER)]
        tooMany ||= parameters.length > PARAMETERS
        for (const reading of parameterReadings(text, parameters.slice(0, PARAMETERS)))
          raw.add(reading)
      }
  const clean = cleanNames(raw)
  return { ...clean, tooMany: tooMany || clean.tooMany }
}

/** Raw readings, octets as Latin-1, as names on a disk. */
export function cleanNames(raw: Iterable<string>): Names {
  const names = new Set<string>()
  let turned = false
  let tooMany = false
  for (const text of raw) {
    const decoded = encodedWordsDecoded(text)
    // Nothing opens a file whose name ends with the end of an encoded-word.
    const raw = text.endsWith('?=') ? [] : [fromRaw(text)]
    for (const reading of new Set([...raw, fromRaw(decoded)])) {
      if (OVERRIDE.test(reading)) turned = true
      for (const name of onDisk(reading)) {
        if (names.size < NAMES) names.add(name)
        else tooMany ||= !names.has(name)
      }
    }
  }
  return { names: [...names], turned, tooMany }
}

/** Claimed types, lower case, without parameters: all that there are, with comments and without. */
export function typesOf(fields: readonly Field[]): string[] {
  const types = new Set<string>()
  for (const value of valuesOf(fields, 'content-type'))
    for (const text of [value, withoutComments(value), encodedWordsDecoded(value)]) {
      const type = /^[\s"']*([\w.+-]+\s*\/\s*[\w.+-]+)/.exec(text)?.[1]
      if (type) types.add(type.replace(/\s/g, '').toLowerCase().slice(0, TYPE_LENGTH))
    }
  return [...types].slice(0, TYPES)
}

const CHARSET = /^([^']*)'[^']*'/

type Parameter = { index: number | undefined; extended: boolean; readings: string[] }

const PARAMETER = /(?<![\w-])((?:file)?name)\s*(?:\*\s*(\d{1,3}))?\s*(\*)?\s*=\s*/gi

/** RFC 2045 §5.1 and RFC 2231 §3 and §4, and what is seen instead of them. */
function parameterReadings(value: string, matches: readonly RegExpMatchArray[]): Set<string> {
  const found = new Set<string>()
  const continued = new Map<string, Parameter[]>()
  for (const match of matches) {
    const [whole, name = '', digits, star] = match
    const at = (match.index ?? 0) + whole.length
    const parameter = {
      index: digits === undefined ? undefined : Number(digits),
      extended: star !== undefined,
      readings: valueReadings(value.slice(at, at + VALUE_LENGTH)),
    }
    if (parameter.index === undefined) {
      for (const text of parameter.readings) {
        // With its charset in front it is a name for nobody.
        if (!parameter.extended || !CHARSET.test(text)) found.add(text)
        found.add(extendedDecoded(text))
      }
      continue
    }
    const pieces = continued.get(name.toLowerCase()) ?? []
    continued.set(name.toLowerCase(), [...pieces, parameter])
  }
  for (const pieces of continued.values()) for (const text of joinings(pieces)) found.add(text)
  return found
}

/** In the order of the numbers and in that of the text, decoded where marked, everywhere, and nowhere. */
function joinings(pieces: readonly Parameter[]): string[] {
  const byNumber = pieces.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0))
  // Two with one number: the first counts for some, the last for others.
  const firsts = byNumber.filter((p, i) => p.index !== byNumber[i - 1]?.index)
  const lasts = byNumber.filter((p, i) => p.index !== byNumber[i + 1]?.index)
  return [byNumber, firsts, lasts, pieces].flatMap(order => {
    const texts = order.map(({ readings }) => readings[0] ?? '')
    const charset = CHARSET.exec(texts[0] ?? '')
    const plain = [texts[0]?.replace(CHARSET, '') ?? '', ...texts.slice(1)]
    const marked = plain.map((text, i) => (order[i]?.extended ? percentDecoded(text) : text))
    const whole = marked.join('')
    return [
      ...(charset && order[0]?.extended ? [] : [texts.join('')]),
      whole,
      inCharset(whole, charset?.[1] ?? 'utf-8'),
      inCharset(percentDecoded(plain.join('')), charset?.[1] ?? 'utf-8'),
    ]
  })
}

/** RFC 2231 §4, with its charset and language or without. */
function extendedDecoded(text: string): string {
  const [, charset = 'utf-8', rest = text] = /^([^']*)'[^']*'(.*)$/s.exec(text) ?? []
  return rest.includes('%') || rest !== text ? inCharset(percentDecoded(rest), charset) : text
}

/** What may be the value at the beginning of `text`: the first is what the RFC says, where it says anything. */
function valueReadings(text: string): string[] {
  const toSemicolon = text.split(';', 1)[0] ?? ''
  const bare = (part: string): string => part.replaceAll('"', '').trim().replace(/^'|'$/g, '')
  if (!/^["']/.test(text)) {
    const token = /^[^\s;]*/.exec(text)?.[0] ?? ''
    return [token, bare(token), bare(toSemicolon)]
  }
  const mark = text[0] === '"' ? '"' : "'"
  const quoted = mark === '"' ? /^"((?:\\.|[^"\\])*)/s.exec(text) : /^'([^']*)/.exec(text)
  const inside = quoted?.[1] ?? ''
  // Some take the first mark for the end, escaped or not; some take all up to the semicolon.
  const short = text.slice(1).split(mark, 1)[0] ?? ''
  const isOpen = inside.length + 1 >= text.length
  const found = [inside.replace(/\\(.)/gs, '$1'), inside, short]
  // With something between the last mark and the semicolon, or without a last mark.
  if (isOpen || !/^.[^"']*["']\s*$/.test(toSemicolon)) found.push(bare(toSemicolon))
  return found
}

/** The file names that systems make of it: path, stream, NUL, invisible characters, and dots at the end fall away. */
export function onDisk(text: string): string[] {
  const whole = text.replace(/^.*[/\\]/s, '')
  const cutAtNul = whole.split('\0', 1)[0] ?? ''
  const stream = /^(.{1,300}?\.\w{1,10})\s{0,20}:/s.exec(whole)?.[1] ?? ''
  const unescaped = percentDecoded(whole)
  const found = [whole, cutAtNul, stream, unescaped, unescaped.split('\0', 1)[0] ?? '']
  const names = new Set<string>()
  for (const each of found)
    for (const form of [each, each.normalize('NFKC')]) {
      const visible = form.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, '').trim()
      const name = visible.replace(/[.\s\p{Z}]+$/u, '')
      if (name !== '') names.add(bounded(name))
    }
  return [...names]
}

const bounded = (name: string): string =>
  name.length <= NAME_HEAD + NAME_TAIL + 1
    ? name
    : `${name.slice(0, NAME_HEAD)}…${name.slice(-NAME_TAIL)}`
