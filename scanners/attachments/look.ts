// Looks into one file as far as names and kinds go: archives within archives, within limits.

import { inflate } from '../mime/inflate.ts'
import { inMemory, type Octets } from '../mime/octets.ts'
import type { Session } from '../mime/session.ts'
import type { Attachment, AttachmentKind, Reason } from '../scanner.ts'
import { contentsOf } from './archives.ts'
import { HEAD_BYTES, isDiskImage, kindsOfHead, kindsOfNames } from './kinds.ts'
import { cleanNames } from './names.ts'
import { isCompoundFile, isEncryptedPdf, kindsOfCompoundFile } from './office.ts'
import { fromRaw } from './words.ts'
import { type Entry, isZip, listZip } from './zip.ts'

/** What a file is, and what lies in it. */
export type Look = { kinds: AttachmentKind[]; inside: Attachment[] }

/** Archives within archives. */
const DEPTH = 8
/** Files in archives of one message. */
const FILES = 20_000
const CONTAINER = /^(PK|\xd0\xcf\x11\xe0|\x1f\x8b|Rar!|7z\xbc\xaf|%PDF|\x78\x9f\x3e\x22)/
const GZIP_NAME = 8
const GZIP_EXTRA = 4
/** What a document in a zip (OOXML, OpenDocument) is made of: a rule against these names does not mean documents. */
const INNARDS =
  /(^|\/)mimetype$|\.(xml|rels|png|jpe?g|gif|emf|wmf|svg|bin|vml|fntdata|odttf|rdf|x?html|css|txt|ttf|tiff?|data|json)$/i
const PACKAGE = /(^|\/)\[content_types\]\.xml$|^mimetype$/i
const MACROS = /(^|\/)vbaProject\.bin$|^(Basic|Scripts)\/.+\.xml$/i
const SHEETS = /(^|\/)macrosheets\//i

export function createLookout(session: Session, note: (reason: Reason) => void) {
  const { budget } = session
  let files = 0

  const inside = async (
    raw: readonly string[],
    head: Buffer,
    content: () => Promise<Octets> | Octets,
    depth: number,
  ): Promise<{ file: Attachment; inner: Attachment[] }> => {
    const { names, turned, tooMany } = cleanNames(raw)
    if (tooMany) note('ambiguous')
    const isContainer = CONTAINER.test(head.toString('latin1', 0, 8)) || isTar(head)
    const look = isContainer
      ? await lookAt(await content(), depth + 1)
      : { kinds: kindsOfHead(head), inside: [] }
    // Every source tree is full of scripts for shells: in an archive they are no more than text.
    const kinds = look.kinds.filter(kind => kind !== 'script')
    const file: Attachment = {
      names,
      types: [],
      kinds: withNames(names, [], kinds, turned),
      packed: true,
    }
    return { file, inner: look.inside }
  }

  const takeFile = (): boolean => {
    if (++files > FILES) note('too-many')
    return files <= FILES && !budget.spent
  }

  async function lookIntoZip(octets: Octets, depth: number): Promise<Look> {
    const { entries, more } = await listZip(octets, session)
    if (more) note('too-many')
    const look: Look = { kinds: [], inside: [] }
    const isPackage = entries.some(({ names }) => names.some(name => PACKAGE.test(name)))
    if (entries.some(entry => entry.encrypted)) look.kinds.push('encrypted-archive')
    for (const entry of entries) {
      if (entry.names.length === 0) continue
      if (!takeFile()) break
      await budget.breathe()
      const { file, inner } = await inside(entry.names, entry.head(), entry.content, depth)
      look.inside.push(...inner)
      if (isPackage && (await isInnards(entry, file, look.kinds))) continue
      look.inside.push(file)
    }
    return look
  }

  /** OpenDocument §3.4.1: the manifest says what is encrypted. */
  async function isInnards(
    entry: Entry,
    file: Attachment,
    kinds: AttachmentKind[],
  ): Promise<boolean> {
    const is = (pattern: RegExp): boolean => entry.names.some(name => pattern.test(name))
    if (is(MACROS) || is(SHEETS)) kinds.push('office-macro')
    if (is(SHEETS) || (is(MACROS) && file.kinds.includes('auto-run-macro')))
      kinds.push('auto-run-macro')
    if (is(/^META-INF\/manifest\.xml$/) && entry.head().includes('encryption-data'))
      kinds.push('encrypted-document')
    const others = file.kinds.filter(kind => !kind.endsWith('-macro'))
    return others.length === 0 && is(INNARDS)
  }

  async function lookIntoGzip(octets: Octets, depth: number): Promise<Look> {
    const content = await inflate(octets, 'gzip', session)
    const names = gzipNames(octets.slice(0, HEAD_BYTES))
    const head = content.slice(0, HEAD_BYTES)
    const { file, inner } = await inside(names, head, () => content, depth)
    return {
      kinds: [],
      inside: [...(names.length + file.kinds.length > 0 ? [file] : []), ...inner],
    }
  }

  async function lookIntoOthers(octets: Octets, depth: number): Promise<Look> {
    const contents = await contentsOf(octets, session)
    const look: Look = { kinds: [], inside: [] }
    if (contents?.encrypted) look.kinds.push('encrypted-archive')
    if (contents?.more) note('too-many')
    for (const { name, content } of contents?.entries ?? []) {
      if (!takeFile()) break
      const data = content ?? inMemory(Buffer.alloc(0))
      const { file, inner } = await inside([name], data.slice(0, HEAD_BYTES), () => data, depth)
      look.inside.push(file, ...inner)
    }
    return look
  }

  async function lookAt(octets: Octets, depth = 0): Promise<Look> {
    const head = octets.slice(0, HEAD_BYTES)
    const kinds = kindsOfHead(head)
    if (isDiskImage(octets)) kinds.push('disk-image')
    if (isCompoundFile(head)) kinds.push(...kindsOfCompoundFile(octets))
    if (head.subarray(0, 1024).includes('%PDF-') && isEncryptedPdf(octets))
      kinds.push('encrypted-document')
    if (depth > DEPTH) {
      note('too-deep')
      return { kinds, inside: [] }
    }
    const look = isZip(octets)
      ? await lookIntoZip(octets, depth)
      : head[0] === 0x1f && head[1] === 0x8b
        ? await lookIntoGzip(octets, depth)
        : await lookIntoOthers(octets, depth)
    return { kinds: [...new Set([...kinds, ...look.kinds])], inside: look.inside }
  }

  return (octets: Octets): Promise<Look> => lookAt(octets)
}

const isTar = (head: Buffer): boolean => head.toString('latin1', 257, 262) === 'ustar'

/** Its kinds, and those that its names add. */
export function withNames(
  names: readonly string[],
  types: readonly string[],
  kinds: readonly AttachmentKind[],
  turned: boolean,
): AttachmentKind[] {
  const all = [...kinds, ...kindsOfNames(names, types, kinds)]
  return [...new Set(turned ? [...all, 'right-to-left' as const] : all)]
}

/** RFC 1952 §2.3: the name it had before. */
function gzipNames(head: Buffer): string[] {
  const flags = head[3] ?? 0
  if ((flags & GZIP_NAME) === 0 || head.length < 12) return []
  const from = 10 + ((flags & GZIP_EXTRA) !== 0 ? 2 + head.readUInt16LE(10) : 0)
  return [fromRaw(head.toString('latin1', from).replace(/\0.*$/s, ''))]
}
