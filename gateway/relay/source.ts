// The content as it goes to the next hop: our fields, the filtered header section, the rest, and never one octet less.
import { readFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Content } from '../message.ts'
import { createCutter, growthOf, type Replacement } from './cuts.ts'
import { createHeaderFilter } from './header.ts'

/** Content up to this size is read once into memory: three times as fast as a stream. */
const SMALL_BYTES = 262_144
/** Up to this size without a trip through the thread pool. */
const TINY_BYTES = 65_536
const CHUNK_BYTES = 65_536

/** What the transaction has to say while its content is read. */
export type Gate = {
  /** Asked before the first octet; an answer is the reason not to send any. */
  refusal(): string | undefined
  /** Another piece was asked for: what came before has been taken. */
  progress(): void
  /** Asked at the very end; false ends the transaction without its final dot. */
  finish(): Promise<boolean>
}

export type Source = {
  /** Octets that will be sent, dots of transparency not counted. */
  sizeBytes: number
  /** The header section has octets above 127. */
  eightBitHeader: boolean
  /** Reads all of it, at most once: has it octets above 127? Rejects if it can't be read. */
  hasEightBit(): Promise<boolean>
  /** Ends only if every octet was read and `finish` agreed; otherwise it errs. May be called again. */
  stream(gate: Gate): Readable
} & AsyncDisposable

/** The file, in pieces of `most` octets at most; as often as it is asked. */
type Octets = { chunks(most: number): AsyncGenerator<Buffer> | Buffer[]; close(): Promise<void> }

/**
 * Rejects if the file can't be read, or is not as long as `content` says. The replacements lie behind the header
 * section, in their order.
 */
export async function openSource(
  content: Content,
  fields: Buffer,
  replacements: readonly Replacement[] = [],
): Promise<Source> {
  const grownBytes = content.sizeBytes + growthOf(replacements, content.sizeBytes)
  const file = content.sizeBytes <= TINY_BYTES ? inMemory(content) : await inFile(content)
  const octets = replacements.length === 0 ? file : cutFrom(file, replacements)
  try {
    return await sourceOf(octets, grownBytes, fields)
  } catch (error) {
    await octets.close()
    throw error
  }
}

const wrongLength = (size: number, content: Content) =>
  new Error(`content has ${size} octets instead of ${content.sizeBytes}`)

/** Just written, and so still in the system's memory: to read it at once is cheaper than to wait for it. */
function inMemory(content: Content): Octets {
  const bytes = readFileSync(content.path)
  if (bytes.length !== content.sizeBytes) throw wrongLength(bytes.length, content)
  return { chunks: () => [bytes], close: async () => undefined }
}

async function inFile(content: Content): Promise<Octets> {
  const file = await open(content.path)
  const { size } = await file.stat()
  if (size !== content.sizeBytes) {
    await file.close()
    throw wrongLength(size, content)
  }
  return { chunks: most => chunks(file, size, most), close: () => file.close() }
}

/** The file with parts of it replaced. */
const cutFrom = (file: Octets, replacements: readonly Replacement[]): Octets => ({
  async *chunks(most) {
    const cut = createCutter(replacements)
    for await (const chunk of file.chunks(most)) yield* cut(chunk)
  },
  close: file.close,
})

async function sourceOf(octets: Octets, contentBytes: number, fields: Buffer): Promise<Source> {
  const head = await readHead(octets, contentBytes)
  const sizeBytes = fields.length + contentBytes - head.removedBytes
  const pieces = async function* () {
    if (head.whole !== undefined) yield Buffer.concat([fields, ...head.whole])
    else {
      yield fields
      yield* filtered(octets)
    }
  }
  let eightBit: boolean | undefined
  return {
    sizeBytes,
    eightBitHeader: head.eightBit,
    async hasEightBit() {
      if (eightBit !== undefined) return eightBit
      for await (const piece of pieces()) {
        if (!piece.some(octet => octet > 127)) continue
        eightBit = true
        return true
      }
      eightBit = false
      return false
    },
    stream: gate =>
      Readable.from(guarded(pieces(), sizeBytes, gate), {
        objectMode: false,
        highWaterMark: CHUNK_BYTES,
      }),
    [Symbol.asyncDispose]: octets.close,
  }
}

async function* guarded(
  pieces: AsyncGenerator<Buffer>,
  sizeBytes: number,
  gate: Gate,
): AsyncGenerator<Buffer> {
  const refusal = gate.refusal()
  if (refusal !== undefined) throw new Error(refusal)
  let octets = 0
  for await (const piece of pieces) {
    octets += piece.length
    if (octets > sizeBytes) break
    gate.progress()
    if (piece.length > 0) yield piece
  }
  if (octets !== sizeBytes) throw new Error(`content changed: expected ${sizeBytes} octets`)
  gate.progress()
  if (!(await gate.finish())) throw new Error('not finished')
}

type Head = { removedBytes: number; eightBit: boolean; whole?: Buffer[] }

/** Goes through the header section once, so that the size is known before anything is sent. */
async function readHead(octets: Octets, sizeBytes: number): Promise<Head> {
  const filter = createHeaderFilter()
  const small = sizeBytes <= SMALL_BYTES
  const whole: Buffer[] = []
  let seen = 0
  let kept = 0
  const count = (pieces: Buffer[]) => {
    for (const piece of pieces) kept += piece.length
    if (small) whole.push(...pieces)
  }
  for await (const chunk of octets.chunks(small ? SMALL_BYTES : CHUNK_BYTES)) {
    seen += chunk.length
    count(filter.push(chunk))
    if (filter.done && !small) break
  }
  if (!filter.done) count(filter.flush())
  const head = { removedBytes: seen - kept, eightBit: filter.eightBit }
  return small ? { ...head, whole } : head
}

async function* filtered(octets: Octets): AsyncGenerator<Buffer> {
  const filter = createHeaderFilter()
  for await (const chunk of octets.chunks(CHUNK_BYTES)) yield* filter.push(chunk)
  yield* filter.flush()
}

async function* chunks(file: FileHandle, sizeBytes: number, most: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < sizeBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(most, sizeBytes - at))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw new Error(`content ends after ${at} octets`)
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
