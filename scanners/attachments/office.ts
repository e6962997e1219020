// What is in a document: macros, those that run by themselves, and encryption that keeps everybody out.
import { type Octets, windows } from '../mime/octets.ts'
import type { AttachmentKind } from '../scanner.ts'

const OLE2 = Buffer.from('d0cf11e0a1b11ae1', 'hex')
/** Names in the directory of a compound file ([MS-CFB] §2.6) are UTF-16, and lie within a sector. */
const wide = (name: string): Buffer => Buffer.from(name, 'utf16le')
const VBA = wide('_VBA_PROJECT')
const ENCRYPTED_PACKAGE = wide('EncryptedPackage')
const WORD = wide('WordDocument\0')
const WORKBOOKS = [wide('Workbook\0'), wide('Book\0')]
const AUTO_RUN =
  /\b(auto_?(open|exec|exit|close|new)|document_?(open|close|new|beforeclose)|workbook_?(open|close|beforeclose|activate))\b/i
/** Among identifiers there is no telling where a word ends: only what can be no other. */
const IDENTIFIER =
  /auto_?open|autoexec|auto_close|document_?open|document_close|workbook_?open|workbook_beforeclose/i
/** Of a document, so much is looked at: macros lie where their directory says, never far from the rest of them. */
const SEARCH_BYTES = 32 * 1024 * 1024
const OVERLAP_BYTES = 256
/** The beginning of a compressed module ([MS-OVBA] §2.4.1), as every one begins. */
const MODULE = Buffer.from('\0Attribut\0e', 'latin1')
const MODULES = 500
const CHUNK_BYTES = 4_098
const ENTRY_BYTES = 128
const FIB_BYTES = 12
const ENCRYPTED_WORD = 0x0100
const FILEPASS = 0x2f
const BOF = new Set([0x0009, 0x0209, 0x0409, 0x0809])

export const isCompoundFile = (head: Buffer): boolean => head.subarray(0, 8).equals(OLE2)

/** [MS-CFB]: .doc, .xls, .ppt, vbaProject.bin, and what holds an encrypted .docx ([MS-OFFCRYPTO] §2.3.4). */
export function kindsOfCompoundFile(octets: Octets): AttachmentKind[] {
  const kinds = new Set<AttachmentKind>()
  const end = Math.min(octets.sizeBytes, SEARCH_BYTES)
  for (let at = 0; at < end; at += SEARCH_BYTES / 32) {
    const window = octets.slice(at, Math.min(end, at + SEARCH_BYTES / 32 + OVERLAP_BYTES))
    if (window.includes(ENCRYPTED_PACKAGE)) kinds.add('encrypted-document')
    if (window.includes(VBA)) kinds.add('office-macro')
    if (isEncryptedWord(octets, window) || isEncryptedWorkbook(octets, window))
      kinds.add('encrypted-document')
  }
  if (kinds.has('office-macro') && runsByItself(octets.slice(0, end))) kinds.add('auto-run-macro')
  return [...kinds]
}

/** The stream of a directory entry, where it starts; undefined where there is no such entry. */
function streamStart(
  octets: Octets,
  window: Buffer,
  name: Buffer,
  bytes: number,
): Buffer | undefined {
  const at = window.indexOf(name)
  if (at < 0 || at + ENTRY_BYTES > window.length) return undefined
  const sectorBytes = octets.slice(30, 32).readUInt16LE(0) === 12 ? 4096 : 512
  const from = (window.readUInt32LE(at + 116) + 1) * sectorBytes
  const start = octets.slice(from, from + bytes)
  return start.length === bytes ? start : undefined
}

/** [MS-DOC] §2.5.2, fEncrypted. */
function isEncryptedWord(octets: Octets, window: Buffer): boolean {
  const fib = streamStart(octets, window, WORD, FIB_BYTES)
  return fib?.readUInt16LE(0) === 0xa5ec && (fib.readUInt16LE(10) & ENCRYPTED_WORD) !== 0
}

/** [MS-XLS] §2.4.117: a FilePass record behind the first one. */
function isEncryptedWorkbook(octets: Octets, window: Buffer): boolean {
  return WORKBOOKS.some(name => {
    const start = streamStart(octets, window, name, 64)
    if (!start || !BOF.has(start.readUInt16LE(0))) return false
    const next = 4 + start.readUInt16LE(2)
    return next + 2 <= start.length && start.readUInt16LE(next) === FILEPASS
  })
}

function runsByItself(buffer: Buffer): boolean {
  // The identifiers of all modules stand in clear beside their text.
  if (IDENTIFIER.test(buffer.toString('latin1'))) return true
  let at = buffer.indexOf(MODULE)
  for (let count = 0; at >= 0 && count < MODULES; count++) {
    if (at >= 3 && AUTO_RUN.test(moduleText(buffer.subarray(at - 3)))) return true
    at = buffer.indexOf(MODULE, at + 1)
  }
  return false
}

/** [MS-OVBA] §2.4.1.3: chunks of up to 4,096 characters, each with its header. */
export function moduleText(container: Buffer): string {
  let text = ''
  for (let at = 1; at + 2 <= container.length; ) {
    const header = container.readUInt16LE(at)
    if (((header >> 12) & 7) !== 3) break
    const end = Math.min(container.length, at + Math.min(CHUNK_BYTES, (header & 0xfff) + 3))
    text += header & 0x8000 ? chunkText(container.subarray(at + 2, end)) : ''
    at = end
  }
  return text
}

function chunkText(chunk: Buffer): string {
  let text = ''
  for (let at = 0; at < chunk.length; ) {
    const flags = chunk[at++] ?? 0
    for (let bit = 0; bit < 8 && at < chunk.length; bit++) {
      if ((flags & (1 << bit)) === 0) text += String.fromCharCode(chunk[at++] ?? 0)
      else {
        if (at + 2 > chunk.length) return text
        const token = chunk.readUInt16LE(at)
        at += 2
        const bits = Math.max(4, Math.ceil(Math.log2(Math.max(1, text.length))))
        const length = (token & (0xffff >> bits)) + 3
        const from = text.length - (token >> (16 - bits)) - 1
        if (from < 0) return text
        for (let i = 0; i < length; i++) text += text[from + i] ?? ''
      }
    }
  }
  return text
}

const PDF_ENCRYPT = /\/Encrypt\s*(?:\d{1,9}\s+\d{1,9}\s+R|<<)/

/** ISO 32000-1 §7.6.1: the trailer refers to the encryption dictionary. */
export function isEncryptedPdf(octets: Octets): boolean {
  let before = ''
  for (const window of windows(octets)) {
    const text = window.toString('latin1')
    if (PDF_ENCRYPT.test(before + text)) return true
    before = text.slice(-64)
  }
  return false
}
