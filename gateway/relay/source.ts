// The content as it goes to the next hop: our fields, the filtered header section, the rest.
import { closeSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Content } from '../message.ts'
import { createCutter, growthOf, type Replacement } from './cuts.ts'
import type { Pieces } from './feed.ts'
import { createHeaderFilter, isEightBit } from './header.ts'

/** Content up to this size is read once into memory. */
const SMALL_BYTES = 262_144
const CHUNK_BYTES = 131_072
/** Most header sections fit. */
const HEAD_BYTES = 16_384
/** Buffers of one message that may wait until what is in them has been sent; those beyond are not used again. */
const LENT_BUFFERS = 8

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
      for await (const piece of opened.pieces(() => Number.POSITIVE_INFINITY)) {
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
    const octets = (takeBuffer: TakeBuffer) => cutFrom(chunks(file, size, takeBuffer), replacements)
    const head = await readHead(octets(() => Buffer.allocUnsafe(HEAD_BYTES)))
    return {
      sizeBytes: fields.length + size + growth - head.removedBytes,
      eightBitHeader: head.eightBit,
      pieces: (sentBytes = () => 0) => filtered(octets, fields, sentBytes),
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Gives a buffer to be filled. */
type TakeBuffer = () => Buffer

async function* chunks(
  file: FileHandle,
  sizeBytes: number,
  takeBuffer: TakeBuffer,
): AsyncGenerator<Buffer> {
  for (let at = 0; at < sizeBytes; ) {
    const buffer = takeBuffer()
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, sizeBytes - at), at)
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

/**
 * A large message leaves no garbage behind: a buffer is read into again once all that had been given until the one after
 * it was asked for is sent. What the filters hold back of one is given before that.
 */
async function* filtered(
  octets: (takeBuffer: TakeBuffer) => AsyncIterable<Buffer>,
  fields: Buffer,
  sentBytes: () => number,
): AsyncGenerator<Buffer> {
  let given = 0
  const lent: { buffer: Buffer; until: number }[] = []
  const takeBuffer = () => {
    const last = lent.at(-1)
    if (last) last.until = given
    const [first] = lent
    const isFree = first !== undefined && lent.length > 1 && first.until <= sentBytes()
    if (isFree || lent.length === LENT_BUFFERS) lent.shift()
    const buffer = isFree ? first.buffer : Buffer.allocUnsafeSlow(CHUNK_BYTES)
    lent.push({ buffer, until: Number.POSITIVE_INFINITY })
    return buffer
  }
  const filter = createHeaderFilter()
  const give = (piece: Buffer) => {
    given += piece.length
    return piece
  }
  yield give(fields)
  for await (const chunk of octets(takeBuffer))
    for (const piece of filter.push(chunk)) yield give(piece)
  for (const piece of filter.flush()) yield give(piece)
}
