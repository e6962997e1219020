// Reads a script as far as to see the files that it puts together: from strings in pieces, backwards, with signs between.
import { inflate } from './inflate.ts'
import { inMemory } from './octets.ts'
import type { Piece, Session } from './session.ts'

/** A page without any of these runs nothing; most pages in mail are such. */
const PROGRAM =
  /<script\b|\bon\w{2,20}\s{0,8}=\s{0,8}["']|atob|fromcharcode|unescape|certutil|\becho\b|\bfunction\b|\b(?:var|let|const)\s{1,8}\w{1,80}\s{0,8}=|powershell/i
const LITERAL = /"([^"\\\r\n]{0,100000})"|'([^'\\\r\n]{0,100000})'|`([^`\\]{0,100000})`/g
const LETTERS = /^[\w+/=-]+$/
/** Fewer letters carry nothing. */
const LEAST_LETTERS = 64
const LITERALS = 50_000
/** `split`, `replace` and `replaceAll`, whose argument is what has to go. */
const REMOVAL = /\.\s{0,8}(?:split|replace|replaceAll)\(\s{0,8}(["'`/])(.{1,40}?)\1/g
const REMOVALS = 8
const SCRIPTS = /<script\b[^<>]{0,2000}>[\s\S]*?<\/script\s{0,80}>/gi
const TAGS = /<[^<>]{0,2000}>/g
const RAW_DEFLATE = /deflate-raw|inflateraw|rawinflate/i
const ECHO = /^[ \t]{0,80}@?echo[. ]|[ \t]{0,8}>>?[^\r\n]{0,200}$/gim

export async function* readScript(text: string, session: Session): AsyncGenerator<Piece> {
  if (!PROGRAM.test(text)) return
  const literals = [...literalsOf(text)]
  const letters = literals.filter(literal => LETTERS.test(literal))
  yield* fromLetters(letters.join('').replaceAll('=', ''))
  await session.budget.breathe()
  for (const reading of readings(text, literals)) yield { octets: latin1(reading), as: 'text' }
  if (!RAW_DEFLATE.test(text)) return
  for (const literal of letters.filter(each => each.length >= LEAST_LETTERS).slice(0, REMOVALS)) {
    const packed = inMemory(Buffer.from(literal, 'base64'))
    yield { octets: await inflate(packed, 'raw', session), as: 'file' }
  }
}

const latin1 = (text: string) => inMemory(Buffer.from(text, 'latin1'))

function* literalsOf(text: string): Generator<string> {
  let count = 0
  for (const [, double, single, template] of text.matchAll(LITERAL)) {
    if (++count > LITERALS) return
    yield double ?? single ?? template ?? ''
  }
}

/** Words in front may belong to the script: so base64 is read from four letters on, hexadecimal from two. */
function* fromLetters(letters: string): Generator<Piece> {
  if (letters.length < LEAST_LETTERS) return
  for (let from = 0; from < 4; from++)
    yield { octets: inMemory(Buffer.from(letters.slice(from), 'base64')), as: 'file' }
  const digits = letters.replace(/[^0-9a-f]/gi, '')
  if (digits.length < letters.length * 0.9 || digits.length < LEAST_LETTERS) return
  for (let from = 0; from < 2; from++)
    yield { octets: inMemory(Buffer.from(digits.slice(from), 'hex')), as: 'file' }
}

function* readings(text: string, literals: readonly string[]): Generator<string> {
  const removed = new Set([...text.matchAll(REMOVAL)].map(([, , what = '']) => what))
  let rest = text
  for (const what of [...removed].slice(0, REMOVALS)) rest = rest.replaceAll(what, '')
  if (rest !== text) yield rest
  if (/reverse/i.test(text))
    for (const literal of literals)
      if (literal.length >= LEAST_LETTERS) yield [...literal].reverse().join('')
  if (/<\w/.test(text)) yield text.replace(SCRIPTS, '\n').replace(TAGS, '')
  if (/\becho\b/i.test(text) && text.includes('>>')) yield text.replace(ECHO, '')
  const digits = text.replace(/(?<=\b[0-9a-f]{2}) (?=[0-9a-f]{2}\b)/gi, '')
  if (digits.length < text.length - LEAST_LETTERS / 4) yield digits
}

/** Numbers in a row, at least, that count as a file. */
const NUMBERS = 16
const LIST = /(?:0x[0-9a-f]{1,4}|\d{1,5})\s{0,8},\s{0,8}\d/gi
const LIST_END = /[^0-9a-fx,\s]/gi
const NUMBER = /^\s*(?:0x[0-9a-f]{1,4}|\d{1,5})\s*$/i
const OTHER_SEPARATOR = /\b\d{1,3}([ \-|;:._/])\d{1,3}\1\d{1,3}\1\d{1,3}\1/
/** A number by which a script adds, subtracts or exclusive-ors. */
const KEY = /([-+^])=?\s{0,8}(0x[0-9a-f]{1,2}|\d{1,3})\b/gi
const KEYS = 6

export function* readNumbers(text: string): Generator<Piece> {
  const separator = OTHER_SEPARATOR.exec(text)?.[1]
  const lists = separator === undefined ? text : text.replace(between(separator), ',')
  const keys = new Map([...text.matchAll(KEY)].map(key => [key[0], key]))
  for (const { run } of runs(lists, LIST, LIST_END))
    for (const values of rowsIn(run)) {
      yield asFile(values)
      if (values.some(value => value > 255)) yield { octets: wide(values), as: 'file' }
      for (const [, sign, key] of [...keys.values()].slice(0, KEYS))
        yield asFile(values.map(value => applied(value, sign, Number(key))))
    }
}

const between = (separator: string): RegExp =>
  new RegExp(`(?<=\\d)${/\w/.test(separator) ? separator : `\\${separator}`}(?=\\d)`, 'g')
const asFile = (values: number[]): Piece => ({ octets: inMemory(Buffer.from(values)), as: 'file' })
const wide = (values: number[]) => inMemory(Buffer.from(new Uint16Array(values).buffer))
const applied = (value: number, sign: string | undefined, key: number): number =>
  sign === '^' ? value ^ key : sign === '-' ? value - key : value + key

function* rowsIn(list: string): Generator<number[]> {
  let values: number[] = []
  for (const item of [...list.split(','), '']) {
    if (NUMBER.test(item)) values.push(Number(item))
    else {
      if (values.length >= NUMBERS) yield values
      values = []
    }
  }
}

/** From each match of `start` to before the next of `end`: a pattern for all of it would overflow its stack. */
export function* runs(
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
