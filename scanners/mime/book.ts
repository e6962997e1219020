// Says of a message whether it is written so strictly by RFC 2045 and 2046 that all programs must take it apart alike.
//
// Forgiving nothing is the point: what this does not know, or knows to be read in two ways by anybody, is not by
// the book, and costs only time. It must never be made to understand more than is sure.
import { withEncodedWords } from './header.ts'

const FIELD = /^([A-Za-z][A-Za-z0-9-]{0,75}):[ \t]?(.*)$/s
const FOLDED = /^[ \t]+\S/
/** RFC 5322 §2.1.1. */
const LINE_CHARACTERS = 998
/** Far above what programs write. */
const FIELDS = 500
/** Of multiparts; an engine's own reader goes at least this deep. */
const DEPTH = 5
const TYPE_CHARACTERS = 4096

/** RFC 2045 §5.1, no comments, no encoded-words; a final semicolon is common enough. */
const CONTENT_TYPE =
  /^[a-z0-9][a-z0-9.+_-]*\/[a-z0-9][a-z0-9.+_-]*(?:\s*;\s*[a-z0-9*_-]+=(?:[^\s()<>@,;:\\"/[\]?=]+|"[^"\\]*"))*\s*;?$/i
const PARAMETER = /;\s*([a-z0-9*_-]+)=(?:"([^"\\]*)"|([^\s;"]+))/gi
/** RFC 2046 §5.1.1. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/
const ENCODINGS = new Set(['7bit', '8bit', 'binary', 'base64', 'quoted-printable'])
const UNENCODED = new Set(['7bit', '8bit', 'binary'])

/** Octets that programs disagree on. */
const ODD = /\0|\r(?!\n)|(?<!\r)\n/
/** A file without a label may begin here, and reach into what is cut. */
const UNLABELLED = /^(?:begin|=ybegin)|binhex/im
/** What some program might take for a field, outside the places for fields. */
const FIELD_ELSEWHERE = /^[ \t]*(?:content|mime-version)/i

type Entity = { boundary?: string; isCuttable: boolean }
type Lines = { text: string; at: number; joints: readonly number[] }

/**
 * `text` is a message from which a body is missing at each of the `joints`, in ascending order; true only where each
 * joint is all there is of the body of a part labelled base64.
 */
export function isByTheBook(text: string, joints: readonly number[]): boolean {
  if (ODD.test(text) || UNLABELLED.test(text)) return false
  const lines: Lines = { text, at: 0, joints }
  const fields = readFields(lines)
  const entity = fields && entityOf(fields)
  if (!entity || fields.get('mime-version')?.trim() !== '1.0') return false
  const used = new Set<number>()
  const isRead =
    entity.boundary === undefined
      ? isLeaf(lines, entity, text.length, used)
      : isMultipart(lines, entity.boundary, used)
  return isRead && used.size === joints.length
}

function nextLine(lines: Lines): string | undefined {
  const { text, at } = lines
  if (at >= text.length) return undefined
  const end = text.indexOf('\r\n', at)
  lines.at = end < 0 ? text.length : end + 2
  return text.slice(at, end < 0 ? text.length : end)
}

/** Up to the empty line, which must be there; undefined where anything is odd, or a field that counts comes twice. */
function readFields(lines: Lines): Map<string, string> | undefined {
  const fields = new Map<string, string>()
  let last: string | undefined
  for (let count = 0; count < FIELDS; count++) {
    const line = nextLine(lines)
    if (line === undefined || line.length > LINE_CHARACTERS) return undefined
    if (line === '') return fields
    const [, name, value = ''] = FIELD.exec(line) ?? []
    if (name !== undefined) {
      last = name.toLowerCase()
      if (/^(content-|mime-version)/.test(last) && fields.has(last)) return undefined
      fields.set(last, value)
    } else if (last !== undefined && FOLDED.test(line)) {
      fields.set(last, `${fields.get(last)}${line}`)
    } else return undefined
  }
  return undefined
}

/** Undefined where its fields leave any doubt. */
function entityOf(fields: ReadonlyMap<string, string>): Entity | undefined {
  const type = fields.get('content-type')?.trim() ?? 'text/plain'
  const encoding = fields.get('content-transfer-encoding')?.trim().toLowerCase() ?? '7bit'
  const meaning = meaningOf(type)
  // RFC 2047 §5 forbids encoded-words here, but names are written so; they must change nothing else.
  const read = meaningOf(withEncodedWords(type))
  if (!meaning || !ENCODINGS.has(encoding)) return undefined
  if (meaning.boundary !== read?.boundary || meaning.kind !== read?.kind) return undefined
  if (meaning.kind === 'message') return undefined
  if (meaning.kind !== 'multipart')
    return meaning.boundary === undefined ? { isCuttable: encoding === 'base64' } : undefined
  if (meaning.boundary === undefined || !UNENCODED.has(encoding)) return undefined
  return { boundary: meaning.boundary, isCuttable: false }
}

function meaningOf(type: string): { kind: string; boundary?: string } | undefined {
  if (type.length > TYPE_CHARACTERS || !CONTENT_TYPE.test(type)) return undefined
  const kind = type.slice(0, type.indexOf('/')).toLowerCase()
  const boundaries = [...type.matchAll(PARAMETER)].filter(([, name]) =>
    /^boundary/i.test(name ?? ''),
  )
  const [first, ...more] = boundaries
  if (!first) return { kind }
  const boundary = first[2] ?? first[3] ?? ''
  const isPlain = more.length === 0 && first[1]?.toLowerCase() === 'boundary'
  return isPlain && BOUNDARY.test(boundary) ? { kind, boundary } : undefined
}

/** What is open at one place of the text: the boundaries from the outermost in, and where the last part began. */
function isMultipart(lines: Lines, outermost: string, used: Set<number>): boolean {
  const open = [outermost]
  /** Of the innermost: the part that is being read, none in a preamble or an epilogue. */
  let part: { entity: Entity; from: number } | undefined
  for (;;) {
    const start = lines.at
    const line = nextLine(lines)
    if (line === undefined) return open.length === 0
    const boundary = open.at(-1)
    if (boundary === undefined || !line.startsWith('--')) {
      if (FIELD_ELSEWHERE.test(line) || line.startsWith('--')) return false
      continue
    }
    const isClosing = line === `--${boundary}--`
    if (line !== `--${boundary}` && !isClosing) {
      // A line of hyphens in a text is common; one that any boundary could be meant by is not.
      if (!part || open.some(each => line.startsWith(`--${each}`))) return false
      continue
    }
    const bodyEnd = start - 2
    if (part && !isLeaf({ ...lines, at: part.from }, part.entity, bodyEnd, used)) return false
    part = undefined
    if (isClosing) {
      open.pop()
      continue
    }
    const fields = readFields(lines)
    const entity = fields && entityOf(fields)
    if (!entity || open.length > DEPTH) return false
    if (entity.boundary === undefined) part = { entity, from: lines.at }
    else if (open.some(each => areAlike(each, entity.boundary ?? ''))) return false
    else open.push(entity.boundary)
  }
}

/** One is how the other begins, so that lines of one could be taken for the other's. */
const areAlike = (one: string, other: string): boolean =>
  one.startsWith(other) || other.startsWith(one)

/** A body that is there, or one that is missing: then nothing but empty lines may stand in its place. */
function isLeaf(lines: Lines, entity: Entity, to: number, used: Set<number>): boolean {
  const joints = lines.joints.filter(joint => joint >= lines.at && joint <= Math.max(to, lines.at))
  if (joints.length === 0) return true
  for (const joint of joints) used.add(joint)
  const body = lines.text.slice(lines.at, to)
  return entity.isCuttable && joints.length === 1 && /^(?:\r\n)*$/.test(body)
}
