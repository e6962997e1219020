// A run of octets in memory or in a file, read by windows; and a place for decoded ones, which spills into a file.
//
// Files are read synchronously: all of them have just been written, or sent to the engine, so they lie in the
// page cache, and a window costs less than a turn of the event loop.
import { createHash, randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { Budget } from './limits.ts'

export type Octets = {
  readonly sizeBytes: number
  /**
   * The octets from `from` to before `to`, as far as there are any. They may lie in `room`, where they are good
   * until its next use: whoever goes through a large file then leaves no garbage behind.
   */
  slice(from: number, to: number, room?: Buffer): Buffer
  view(from: number, to: number): Octets
}

export const WINDOW_BYTES = 65_536
/** Up to this length a slice is taken from a window kept: header sections lie close together. */
const NEAR_BYTES = 16_384
const CRUMB_BYTES = 1_024
const CRUMBS = 512

export function inMemory(buffer: Buffer): Octets {
  return {
    sizeBytes: buffer.length,
    slice: (from, to) => buffer.subarray(from, Math.max(from, to)),
    view: (from, to) => inMemory(buffer.subarray(from, Math.max(from, to))),
  }
}

/** Throws where the file can't be read, or has become shorter. */
function inFile(file: number, offset: number, sizeBytes: number): Octets {
  const load = (from: number, to: number, place?: Buffer): Buffer => {
    const count = Math.max(0, to - from)
    const fits = place !== undefined && place.length >= count
    const room = fits ? place.subarray(0, count) : Buffer.allocUnsafe(count)
    for (let got = 0; got < room.length; ) {
      const more = readSync(file, room, got, room.length - got, offset + from + got)
      if (more === 0) throw new Error('the content is shorter than it was')
      got += more
    }
    return room
  }
  let near: Buffer = Buffer.alloc(0)
  let nearFrom = 0
  return {
    sizeBytes,
    slice(from, to, room) {
      const end = Math.min(to, sizeBytes)
      if (end - from > NEAR_BYTES) return load(from, end, room)
      if (from < nearFrom || end > nearFrom + near.length) {
        nearFrom = from
        near = load(from, Math.min(sizeBytes, from + WINDOW_BYTES))
      }
      return near.subarray(from - nearFrom, Math.max(from, end) - nearFrom)
    },
    view: (from, to) =>
      inFile(file, offset + from, Math.max(0, Math.min(to, sizeBytes) - Math.max(0, from))),
  }
}

/** Room for windows of so many octets; none for what is small, which is read at once. */
export const roomFor = (sizeBytes: number, windowBytes = WINDOW_BYTES): Buffer | undefined =>
  sizeBytes > NEAR_BYTES ? Buffer.allocUnsafeSlow(windowBytes) : undefined

export function* windows(octets: Octets, from = 0, to = octets.sizeBytes): Generator<Buffer> {
  for (let at = from; at < to; at += WINDOW_BYTES)
    yield octets.slice(at, Math.min(to, at + WINDOW_BYTES))
}

export async function sha256(octets: Octets, budget: Budget): Promise<string> {
  const hash = createHash('sha256')
  const room = roomFor(octets.sizeBytes)
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    hash.update(octets.slice(at, at + WINDOW_BYTES, room))
    await budget.breathe()
  }
  return hash.digest('hex')
}

/** Takes what a decoder makes. */
export type Sink = {
  readonly sizeBytes: number
  /** False where a limit is reached: the decoder may stop. The chunk is kept, and must not change afterwards. */
  write(chunk: Buffer): boolean
  finish(): Octets
}

/** The files opened for one message; their names are gone before anything is in them, so nothing is left behind. */
export type Scratch = {
  open(path: string, sizeBytes: number): Octets
  sink(budget: Budget): Sink
  [Symbol.dispose](): void
}

export function createScratch(folder: string): Scratch {
  const files: number[] = []
  const nameless = (): number => {
    const name = path.join(folder, `.leaf-${randomUUID()}`)
    const file = openSync(name, 'wx+', 0o600)
    files.push(file)
    unlinkSync(name)
    return file
  }
  return {
    open(name, sizeBytes) {
      const file = openSync(name, 'r')
      files.push(file)
      return inFile(file, 0, sizeBytes)
    },
    sink: budget => createSink(budget, nameless),
    [Symbol.dispose]() {
      for (const file of files.splice(0)) closeSync(file)
    },
  }
}

function createSink(budget: Budget, nameless: () => number): Sink {
  const { leafBytes, memoryBytes } = budget.limits
  let chunks: Buffer[] = []
  /** Decoders of lines write a few octets at a time: these are put together before they cost more than they hold. */
  let crumbs: Buffer[] = []
  let heldBytes = 0
  let sizeBytes = 0
  const gather = (): void => {
    if (crumbs.length > 0) chunks.push(Buffer.concat(crumbs))
    crumbs = []
  }
  let file: number | undefined
  const spill = (): void => {
    file ??= nameless()
    gather()
    const all = Buffer.concat(chunks)
    for (let done = 0; done < all.length; ) done += writeSync(file, all, done)
    chunks = []
    heldBytes = 0
  }
  return {
    get sizeBytes() {
      return sizeBytes
    },
    write(chunk) {
      if (!budget.takeBytes(chunk.length)) return false
      if (sizeBytes + chunk.length > leafBytes) {
        budget.stop('too-large')
        return false
      }
      if (chunk.length >= CRUMB_BYTES) gather()
      if (chunk.length >= CRUMB_BYTES) chunks.push(chunk)
      else if (crumbs.push(chunk) >= CRUMBS) gather()
      sizeBytes += chunk.length
      heldBytes += chunk.length
      if (heldBytes > memoryBytes) spill()
      return true
    },
    finish() {
      gather()
      if (file === undefined) return inMemory(Buffer.concat(chunks))
      spill()
      return inFile(file, 0, sizeBytes)
    },
  }
}
