// Reads the names in archives that need no decompression for it, and sees those that keep everybody out.

import type { Octets } from '../mime/octets.ts'
import { listRar, markBytes } from '../mime/rar-blocks.ts'
import type { Session } from '../mime/session.ts'
import { fromRaw } from './words.ts'

const BLOCK_BYTES = 512
const ENTRIES = 20_000
const SEVEN_ZIP = Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1')
/** The coder 7zAES, as the header names it. */
const SEVEN_ZIP_AES = Buffer.from('06f10701', 'hex')
const SEVEN_ZIP_HEADER_BYTES = 1024 * 1024

export type Packed = { name: string; content?: Octets }
export type Contents = { entries: Packed[]; encrypted: boolean; more: boolean }

const nothing = (encrypted = false): Contents => ({ entries: [], encrypted, more: false })

/** Undefined where it is none of them. */
export async function contentsOf(octets: Octets, session: Session): Promise<Contents | undefined> {
  const head = octets.slice(0, BLOCK_BYTES)
  if (markBytes(head) > 0) return readRar(octets, session)
  if (head.subarray(0, SEVEN_ZIP.length).equals(SEVEN_ZIP)) return readSevenZip(octets)
  if (head.toString('latin1', 257, 262) === 'ustar') return readTar(octets, session)
  if (head.toString('latin1', 0, 4) === '\x78\x9f\x3e\x22') return readTnef(octets)
  return undefined
}

/** POSIX.1-1988 ustar, with the long names of GNU and pax. */
async function readTar(octets: Octets, { budget }: Session): Promise<Contents> {
  const entries: Packed[] = []
  let longName: string | undefined
  for (let at = 0; at + BLOCK_BYTES <= octets.sizeBytes && !budget.spent; ) {
    await budget.breathe()
    const header = octets.slice(at, at + BLOCK_BYTES)
    if (header[0] === 0) break
    const text = (from: number, to: number): string =>
      header.toString('latin1', from, to).replace(/\0.*$/s, '')
    const sizeBytes = Math.max(0, Number.parseInt(text(124, 136).trim(), 8) || 0)
    const from = at + BLOCK_BYTES
    const content = octets.view(from, Math.min(octets.sizeBytes, from + sizeBytes))
    const type = text(156, 157)
    const about = type === 'L' || type === 'x' ? content.slice(0, 8_192).toString('latin1') : ''
    if (type === 'L') longName = about.replace(/\0.*$/s, '')
    else if (type === 'x') longName = /\d+ path=([^\n]*)\n/.exec(about)?.[1] ?? longName
    else if (type !== '5' && type !== 'g') {
      const name = fromRaw(longName ?? text(0, 100))
      longName = undefined
      if (entries.length >= ENTRIES) return { entries, encrypted: false, more: true }
      entries.push({ name, content })
    }
    at = from + Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES
  }
  return { entries, encrypted: false, more: false }
}

async function readRar(octets: Octets, session: Session): Promise<Contents | undefined> {
  const listing = await listRar(octets, session, ENTRIES)
  if (!listing) return undefined
  const entries = listing.entries.map(entry => ({ ...entry, name: fromRaw(entry.name) }))
  return { entries, encrypted: listing.isEncrypted, more: listing.more }
}

/** 7zFormat.txt: the header lies at the end; where it is not compressed its names stand in it, in UTF-16. */
function readSevenZip(octets: Octets): Contents {
  const start = octets.slice(0, 32)
  if (start.length < 32) return nothing()
  const from = 32 + Number(start.readBigUInt64LE(12))
  const bytes = Math.min(SEVEN_ZIP_HEADER_BYTES, Number(start.readBigUInt64LE(20)))
  const header = octets.slice(Math.min(from, octets.sizeBytes), from + bytes)
  const entries: Packed[] = []
  // What stands before the first name only makes that longer at its beginning.
  for (const shift of [0, 1])
    for (const name of header.subarray(shift).toString('utf16le').split('\0'))
      if (/\.\w{1,20}$/.test(name) && entries.length < ENTRIES) entries.push({ name })
  return { entries, encrypted: header.includes(SEVEN_ZIP_AES), more: entries.length >= ENTRIES }
}

/** [MS-OXTNEF] attAttachTitle, and PidTagAttachLongFilename among an attachment's properties. */
function readTnef(octets: Octets): Contents {
  const entries: Packed[] = []
  for (let at = 6; at + 9 <= octets.sizeBytes && entries.length < ENTRIES; ) {
    const head = octets.slice(at, at + 9)
    const value = octets.slice(at + 9, at + 9 + Math.min(8_192, head.readUInt32LE(5)))
    if (head.readUInt32LE(1) === 0x00018010)
      entries.push({ name: fromRaw(value.toString('latin1').replace(/\0.*$/s, '')) })
    for (const [tag, isWide] of [
      ['1e000737', false],
      ['1f000737', true],
    ] as const) {
      const found = value.indexOf(Buffer.from(tag, 'hex'))
      if (found < 0 || found + 12 > value.length) continue
      const text = value.subarray(found + 12, found + 12 + value.readUInt32LE(found + 8))
      const name = isWide ? text.toString('utf16le') : fromRaw(text.toString('latin1'))
      entries.push({ name: name.replace(/\0.*$/s, '') })
    }
    at += 9 + head.readUInt32LE(5) + 2
  }
  return { entries, encrypted: false, more: entries.length >= ENTRIES }
}
