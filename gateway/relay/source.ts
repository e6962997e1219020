// The content as it goes to the next hop: our fields, the filtered header section, the rest.
import { closeSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Content } from '../message.ts'
import { createCutter, growthOf, type Replacement } from './cuts.ts'
import type { Pieces } from './feed.ts'
import { createHeaderFilter, isEightBit } from './header.ts'

/** Content up to this size is read once into memory. */
const SMALL_BYTES = 262_144
const CHUNK_BYTES = 65_536

export type Source = Pieces & {
  /** The header section has octets above 127. */
  eightBitHeader: boolean
  /** Reads all of it, at most once: has it octets above 127? Rejects if it can't be read. */
  hasEightBit(): Promise<boolean>
} & AsyncDisposable

type Opened = Pieces & { eightBitHeader: boolean; close?(): Promise<void> }

/**
 * Rejects if the file can't be read, or is not as long as `content` says. The replacements lie behind the header
 * section, in their order.
 */
export async function openSource(
  content: Content,
  fields: Buffer,
  replacements: readonly Replacement[] = [],
): Promise<Source> {
  const growth = growthOf(replacements, content.sizeBytes)
  const opened =
    content.sizeBytes <= SMALL_BYTES
      ? inMemory(content, fields, replacements)
      : await inFile(content, fields, replacements, growth)
  let eightBit: boolean | undefined
  return {
    ...opened,
    async hasEightBit() {
      if (eightBit !== undefined) return eightBit
      for await (const piece of opened.pieces()) {
        if (!isEightBit(piece)) continue
        eightBit = true
        return true
      }
      eightBit = false
      return false
    },
    [Symbol.asyncDispose]: async () => opened.close?.(),
  }
}

const wrongLength = (size: number | string, content: Content) =>
  new Error(`content has ${size} octets instead of ${content.sizeBytes}`)

function inMemory(content: Content, fields: Buffer, replacements: readonly Replacement[]): Opened {
  const all = readBehind(fields, content)
  const body = all.subarray(fields.length)
  const filter = createHeaderFilter()
  const cut = replacements.length === 0 ? [body] : createCutter(replacements)(body)
  const kept = cut.flatMap(filter.push)
  kept.push(...filter.flush())
  const untouched =
    replacements.length === 0 && kept.length === 1 && kept[0]?.length === body.length
  const whole = untouched ? all : Buffer.concat([fields, ...kept])
  const pieces = [whole]
  return { sizeBytes: whole.length, eightBitHeader: filter.eightBit, pieces: () => pieces }
}

/** Just written, and so still in the system's memory: to read it at once is cheaper than to wait for it. */
function readBehind(fields: Buffer, content: Content): Buffer {
  const size = fields.length + content.sizeBytes
  // With room for one octet that should not be there.
  const all = Buffer.allocUnsafe(size + 1)
  let end = fields.copy(all)
  const file = openSync(content.path, 'r')
  try {
    for (let read = -1; read !== 0 && end < size; end += read)
      read = readSync(file, all, end, all.length - end, null)
  } finally {
    closeSync(file)
  }
  if (end !== size) throw wrongLength(end > size ? 'more' : end - fields.length, content)
  return all.subarray(0, size)
}

async function inFile(
  content: Content,
  fields: Buffer,
  replacements: readonly Replacement[],
  growth: number,
): Promise<Opened> {
  const file = await open(content.path)
  try {
    const { size } = await file.stat()
    if (size !== content.sizeBytes) throw wrongLength(size, content)
    const octets = () => cutFrom(chunks(file, size), replacements)
    const head = await readHead(octets())
    return {
      sizeBytes: fields.length + size + growth - head.removedBytes,
      eightBitHeader: head.eightBit,
      pieces: () => filtered(octets(), fields),
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function* chunks(file: FileHandle, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < sizeBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - at))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw new Error(`content ends after ${at} octets`)
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** The content with parts of it replaced. */
async function* cutFrom(
  octets: AsyncIterable<Buffer>,
  replacements: readonly Replacement[],
): AsyncGenerator<Buffer> {
  const cut = createCutter(replacements)
  for await (const chunk of octets) yield* cut(chunk)
}

/** Goes through the header section once, so that the size is known before anything is sent. */
async function readHead(
  octets: AsyncIterable<Buffer>,
): Promise<{ removedBytes: number; eightBit: boolean }> {
  const filter = createHeaderFilter()
  let removedBytes = 0
  const count = (pieces: Buffer[]) => {
    for (const piece of pieces) removedBytes -= piece.length
  }
  for await (const chunk of octets) {
    removedBytes += chunk.length
    count(filter.push(chunk))
    if (filter.done) break
  }
  count(filter.flush())
  return { removedBytes, eightBit: filter.eightBit }
}

async function* filtered(octets: AsyncIterable<Buffer>, fields: Buffer): AsyncGenerator<Buffer> {
  yield fields
  const filter = createHeaderFilter()
  for await (const chunk of octets) yield* filter.push(chunk)
  yield* filter.flush()
}
