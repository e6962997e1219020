// Reads a header section as forgivingly as the most forgiving mail program, with every place where its body may start.
import type { Octets } from './octets.ts'

/** Name in lower case, value unfolded; octets above 127 are kept as Latin-1, NULs are left out. */
export type Field = { name: string; value: string }

export type HeaderSection = {
  fields: Field[]
  /** Offsets at which one program or another sees the body start; never empty. */
  bodyStarts: number[]
  /** Fields without end: longer than the limit. */
  tooLarge: boolean
  /** Its first line is a field. */
  startsWithField: boolean
}

const FIELD = /^([\x21-\x39\x3b-\x7e\x80-\xff]{1,200})[ \t]*:(.*)$/s
/** Of a longer value, so much of its beginning and of its end is understood. */
const VALUE_HALF = 8_192
const FIRST_BYTES = 4_096
/** Lines that are no fields: after so many no program looks for more fields. */
const ODD_LINES = 20
const BODY_STARTS = 4

/** Reads from `from`, at most to `to`. */
export function readHeader(
  octets: Octets,
  from: number,
  to: number,
  limitBytes: number,
): HeaderSection {
  for (let room = FIRST_BYTES; ; room *= 8) {
    const most = Math.min(room, limitBytes)
    const text = octets.slice(from, Math.min(to, from + most)).toString('latin1')
    const whole = from + text.length >= to
    const section = parse(text, whole)
    if (section || most === limitBytes)
      return shifted(section ?? { ...parse(text, true), tooLarge: true }, from)
  }
}

const shifted = (section: Partial<HeaderSection>, by: number): HeaderSection => ({
  fields: section.fields ?? [],
  bodyStarts: (section.bodyStarts ?? []).map(start => start + by),
  tooLarge: section.tooLarge ?? false,
  startsWithField: section.startsWithField ?? false,
})

/** Undefined where the section doesn't end within the text, and that isn't `whole`. */
function parse(text: string, whole: boolean): HeaderSection | undefined {
  const fields: Field[] = []
  const starts = new Set<number>()
  let odd = 0
  let startsWithField = false
  const result = (end: number, tooLarge = false): HeaderSection => ({
    fields: fields.map(tidy),
    bodyStarts: [...[...starts].slice(0, BODY_STARTS - 1), end].filter(
      (start, i, all) => all.indexOf(start) === i,
    ),
    tooLarge,
    startsWithField,
  })
  for (let at = 0; at < text.length; ) {
    const { line, next } = lineAt(text, at)
    if (next > text.length && !whole) return undefined
    if (line === '') return result(next)
    if (line.startsWith('--')) return result(at)
    const visible = line.replaceAll('\0', '')
    const field = FIELD.exec(visible)
    const last = fields.at(-1)
    if (visible.trim() === '') {
      // A line of white space ends the section for some, and folds the field for others.
      starts.add(next)
    } else if (/^[ \t]/.test(visible) && last) {
      last.value += visible
    } else if (field ?? FIELD.exec(visible.trimStart())) {
      const [, name = '', value = ''] = field ?? FIELD.exec(visible.trimStart()) ?? []
      if (at === 0) startsWithField = true
      fields.push({ name, value })
    } else {
      // For some the body has started without its empty line; others skip such a line.
      starts.add(at)
      if (++odd > ODD_LINES) return result([...starts].at(-1) ?? at)
    }
    at = next
  }
  return whole ? result(text.length) : undefined
}

const tidy = ({ name, value }: Field): Field => ({
  name: name.toLowerCase(),
  value: value.trim(),
})

/** CRLF, LF and CR all end a line: what was encoded may hold any of them. */
function lineAt(text: string, at: number): { line: string; next: number } {
  const lf = text.indexOf('\n', at)
  const end = lf < 0 ? text.length : lf
  const cr = text.slice(at, end).indexOf('\r')
  if (cr < 0) return { line: text.slice(at, end), next: end + 1 }
  const stop = at + cr
  const isPair = stop + 1 === end && lf >= 0
  return { line: text.slice(at, stop), next: isPair ? end + 1 : stop + 1 }
}

/** All values of a field, in their order. */
export const valuesOf = (fields: readonly Field[], name: string): string[] =>
  fields.filter(field => field.name === name).map(field => bounded(field.value))

const bounded = (value: string): string =>
  value.length <= 2 * VALUE_HALF
    ? value
    : `${value.slice(0, VALUE_HALF)} ${value.slice(-VALUE_HALF)}`

/** RFC 5322 §3.2.2 comments left out, nested ones too; what an unclosed one hides is kept. */
export function withoutComments(value: string): string {
  let text = value
  for (let rounds = 0; rounds < 10; rounds++) {
    const shorter = text.replace(/\((?:\\.|[^()\\])*\)/gs, '')
    if (shorter === text) break
    text = shorter
  }
  return text
}

/** RFC 2047 encoded-words decoded, where a program should not but may. */
export const withEncodedWords = (value: string): string =>
  value.replace(/=\?[^?\s]{1,40}\?([bq])\?([^?\s]{0,400})\?=/gi, (_, how: string, text: string) =>
    how.toLowerCase() === 'b'
      ? Buffer.from(text, 'base64').toString('latin1')
      : text
          .replaceAll('_', ' ')
          .replace(/=([0-9a-f]{2})/gi, (_hex, code: string) =>
            String.fromCharCode(Number.parseInt(code, 16)),
          ),
  )
