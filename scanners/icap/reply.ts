// Reads an ICAP server's reply (RFC 3507) strictly and within bounds; what is not understood is an error.
import { createHash } from 'node:crypto'
import { type IcapConnection, NotUnderstood } from './connection.ts'

const LINE_BYTES = 8_192
const FIELDS = 100
/** Octets of the header fields, and of each encapsulated header. */
const HEADER_BYTES = 65_536
const ENCAPSULATED = /^(req|res)-hdr$|^(req|res|opt)-body$|^null-body$/

/** Names in lower case; the lines of a folded value are joined by line ends. */
export type Fields = ReadonlyMap<string, string>

export type IcapReply = {
  status: number
  fields: Fields
  /** What became of what we sent, where it comes back: status line or request line, and its fields. */
  carried: { kind: 'request' | 'response'; first: string; fields: Fields } | undefined
  /** Whether a body follows. */
  hasBody: boolean
}

/** Rejects with `NotUnderstood`, or `Over` where the connection ends before it does. */
export async function readIcapReply(connection: IcapConnection): Promise<IcapReply> {
  const line = await connection.line(LINE_BYTES)
  const status = Number(/^ICAP\/1\.\d ([1-5]\d\d)(?: .*)?$/.exec(line)?.[1])
  if (Number.isNaN(status)) throw new NotUnderstood(`it says ${line.slice(0, 60)}`)
  const fields = await readFields(() => connection.line(LINE_BYTES))
  // Without its `Encapsulated` field a 200 says nothing (RFC 3507 §4.4.1).
  const written = fields.get('encapsulated')
  if (written === undefined) {
    if (status === 200) throw new NotUnderstood('its reply carries nothing')
    return { status, fields, carried: undefined, hasBody: false }
  }
  const sections = sectionsOf(written)
  let carried: IcapReply['carried']
  for (const [index, { name, offset }] of sections.entries()) {
    if (!name.endsWith('-hdr')) continue
    const sizeBytes = (sections[index + 1]?.offset ?? offset) - offset
    const kind = name === 'res-hdr' ? 'response' : 'request'
    carried = { kind, ...(await readCarried(connection, sizeBytes)) }
  }
  const hasBody = /^(req|res|opt)-body$/.test(sections.at(-1)?.name ?? '')
  return { status, fields, carried, hasBody }
}

/** RFC 3507 §4.4.1: header sections, one after the other, and at the end a body or none. */
function sectionsOf(written: string): { name: string; offset: number }[] {
  const sections = written.split(',').map(part => {
    const [, name = '', digits] = /^\s*([a-z-]+)\s*=\s*(\d{1,6})\s*$/.exec(part) ?? []
    return { name, offset: Number(digits) }
  })
  const isOrdered = sections.every(({ name, offset }, i) => {
    const before = sections[i - 1]
    const isLast = i === sections.length - 1
    const follows = before === undefined ? offset === 0 : offset > before.offset
    return ENCAPSULATED.test(name) && follows && isLast === name.endsWith('-body')
  })
  if (!isOrdered || sections.length > 3) throw new NotUnderstood('its Encapsulated field is wrong')
  return sections
}

async function readCarried(connection: IcapConnection, sizeBytes: number) {
  if (sizeBytes > HEADER_BYTES) throw new NotUnderstood('an encapsulated header is too large')
  const chunks: Buffer[] = []
  // A chunk is a view of what has been read.
  await connection.octets(sizeBytes, chunk => void chunks.push(Buffer.from(chunk)))
  const text = Buffer.concat(chunks).toString('latin1')
  if (!text.endsWith('\r\n\r\n')) throw new NotUnderstood('an encapsulated header has no end')
  const [first = '', ...lines] = text.slice(0, -2).split('\r\n')
  return { first, fields: await readFields(async () => lines.shift() ?? '') }
}

async function readFields(next: () => Promise<string>): Promise<Fields> {
  const fields = new Map<string, string>()
  let last: string | undefined
  let sizeBytes = 0
  for (let count = 0; ; count++) {
    const line = await next()
    if (line === '') return fields
    sizeBytes += line.length
    if (count >= FIELDS || sizeBytes > HEADER_BYTES) throw new NotUnderstood('too many fields')
    const [, name, value = ''] =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
    // Some servers don't fold the lines of this field.
    if (last !== undefined && (/^[ \t]/.test(line) || (!name && last === 'x-violations-found'))) {
      fields.set(last, `${fields.get(last)}\n${line.trim()}`)
      continue
    }
    if (name === undefined) throw new NotUnderstood('a header field has no name')
    last = name.toLowerCase()
    const before = fields.get(last)
    if (before !== undefined && last === 'encapsulated')
      throw new NotUnderstood('Encapsulated twice')
    fields.set(last, before === undefined ? value : `${before}, ${value}`)
  }
}

export type Digest = { sizeBytes: number; sha256: string }

/** Reads the chunked body; undefined, and the rest unread, where it is longer than `limitBytes`. */
export async function readIcapBody(
  connection: IcapConnection,
  limitBytes: number,
): Promise<Digest | undefined> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for (;;) {
    const line = await connection.line(LINE_BYTES)
    const digits = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?$/.exec(line)?.[1]
    if (digits === undefined) throw new NotUnderstood('a chunk has no length')
    const length = Number.parseInt(digits, 16)
    if (length === 0) break
    sizeBytes += length
    if (sizeBytes > limitBytes) return undefined
    await connection.octets(length, chunk => void hash.update(chunk))
    if ((await connection.line(0 + 1)) !== '')
      throw new NotUnderstood('a chunk is longer than it says')
  }
  await readFields(() => connection.line(LINE_BYTES))
  return { sizeBytes, sha256: hash.digest('hex') }
}
