// What the Content-* fields of a part can mean, taken together: its kinds, encodings and boundaries, all readings.
import { tokenOf } from './delimiter.ts'
import { type Field, valuesOf, withEncodedWords, withoutComments } from './header.ts'

export type Encoding = 'identity' | 'base64' | 'quoted-printable' | 'uuencode' | 'yenc'

export type Kinds = {
  multipart: boolean
  message: boolean
  partial: boolean
  externalBody: boolean
  /** RFC 1847 §2.2, RFC 3156 §4. */
  encrypted: boolean
  /** Text to be shown as it is, and no attachment: its octets are in the message for the engine to see. */
  plain: boolean
  /** Plain text or HTML for a mail program to show, and no attachment. */
  shown: boolean
  /** By its type or its name, text that a browser or a script host reads. */
  text: boolean
}

/** A value as different programs take it: as it is, without comments, with encoded-words read. */
function readings(value: string): string[] {
  const all = [value, withoutComments(value), withEncodedWords(value)]
  return all.map(text => text.replace(/["'\\\s]/g, '').toLowerCase())
}

export const isContentField = ({ name }: Field): boolean => name.startsWith('content-')

export function kindsOf(fields: readonly Field[]): Kinds {
  const types = valuesOf(fields, 'content-type').flatMap(readings)
  const named = fields.some(
    ({ name, value }) =>
      /^content-(type|disposition)$/.test(name) && /name|attachment/i.test(value),
  )
  const names = fields.some(
    ({ name, value }) =>
      name === 'content-disposition' && /\.(x?s?html?|svg|jse?|vbs|hta|wsf|eml|mht)/i.test(value),
  )
  const some = (pattern: RegExp): boolean => types.some(type => pattern.test(type))
  return {
    multipart: some(/^multipart\b/) || some(/boundary/),
    message: some(/^message\/(?!partial|external-body)/),
    partial: some(/^message\/partial\b/),
    encrypted: some(/^multipart\/encrypted\b|^application\/pgp-encrypted\b/),
    externalBody: some(/^message\/external-body\b/),
    text: some(/^text\b|html|svg|xml|script|\.(x?s?html?|svg|js|eml|mht)\b/) || names,
    shown:
      !named && types.length === 3 && types.every(type => /^text\/(?:html|plain)\b/.test(type)),
    plain: !named && types.every(type => /^text\/plain\b|^text;|^text$|^$/.test(type)),
  }
}

/** RFC 2045 §6, and what is seen instead of it. */
export function encodingsOf(fields: readonly Field[]): Set<Encoding> {
  const found = new Set<Encoding>()
  for (const value of valuesOf(fields, 'content-transfer-encoding'))
    for (const label of readings(value)) for (const encoding of meanings(label)) found.add(encoding)
  if (found.size === 0) found.add('identity')
  return found
}

function meanings(label: string): Encoding[] {
  if (/^(7-?bits?|8-?bits?|binary|)$/.test(label)) return ['identity']
  const found: Encoding[] = []
  if (/b(ase)?[-_]?64|^b$/.test(label)) found.push('base64')
  if (/quoted|printable|^qp?$/.test(label)) found.push('quoted-printable')
  if (/uu|^x-?uue/.test(label)) found.push('uuencode')
  if (/yenc/.test(label)) found.push('yenc')
  if (/^(base64|quoted-printable)$/.test(label)) return found
  // A label nobody should know: one program ignores it, another recognises its beginning, or guesses.
  if (found.length === 0) return ['identity', 'base64', 'quoted-printable']
  return [...found, 'identity']
}

/**
 * The delimiters' tokens that any reading of a Content-Type declares: quoted or not, with comments or without,
 * given twice, in RFC 2231 pieces. They only sharpen where parts end: undeclared delimiters count as well.
 */
export function declaredTokens(fields: readonly Field[]): Set<number> {
  const tokens = new Set<number>()
  const add = (boundary: string): void => {
    if (boundary !== '') tokens.add(tokenOf(Buffer.from(`--${boundary}`, 'latin1')))
  }
  for (const value of valuesOf(fields, 'content-type')) {
    for (const text of new Set([value, withoutComments(value), withEncodedWords(value)])) {
      const pieces: string[] = []
      const pattern = /boundary(\*\d*)?\*?\s*=\s*(?:"((?:\\.|[^"\\])*)"?|([^\s;"]+))/gi
      for (const [, piece, quoted, bare] of text.matchAll(pattern)) {
        const raw = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
        const plain = piece === undefined ? raw : percentDecoded(raw.replace(/^[^']*'[^']*'/, ''))
        pieces.push(plain)
        add(plain)
        add(raw)
      }
      if (pieces.length > 1) add(pieces.join(''))
    }
  }
  return tokens
}

const percentDecoded = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
