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
  slice(from: number, to: number, room?: Room): Buffer
  view(from: number, to: number): Octets
}

/** A buffer for one window after the other; there is none until one is needed. */
export type Room = { of(bytes: number): Buffer }

export const WINDOW_BYTES = 65_536
/** Up to this length a slice is taken from a window kept, which a file's views share: header sections lie close together. */
const NEAR_BYTES = 16_384
/** Of two windows that are nearly the same size the second needs no new room. */
const ROUND_BYTES = 4_096
const LEAST_HELD_BYTES = 1_024
const NOTHING = Buffer.alloc(0)

export function createRoom(): Room {
  let octets: Buffer | undefined
  return {
    of(bytes) {
      if (octets === undefined || octets.length < bytes)
        octets = Buffer.allocUnsafeSlow(Math.ceil(bytes / ROUND_BYTES) * ROUND_BYTES)
      return octets.subarray(0, bytes)
    },
  }
}

export function inMemory(buffer: Buffer): Octets {
  return {
    sizeBytes: buffer.length,
    slice: (from, to) => buffer.subarray(from, Math.max(from, to)),
    view: (from, to) => inMemory(buffer.subarray(from, Math.max(from, to))),
  }
}

type Near = { octets: Buffer; from: number }

/** Throws where the file can't be read, or has become shorter. `near` is what of the file was read last. */
function inFile(
  file: number,
  offset: number,
  sizeBytes: number,
  near: Near = { octets: NOTHING, from: 0 },
): Octets {
  const load = (from: number, to: number, place?: Room): Buffer => {
    const count = Math.max(0, to - from)
    const room = place?.of(count) ?? Buffer.allocUnsafeSlow(count)
    for (let got = 0; got < count; ) {
      const more = readSync(file, room, got, count - got, offset + from + got)
      if (more === 0) throw new Error('the content is shorter than it was')
      got += more
    }
    return room
  }
  return {
    sizeBytes,
    slice(from, to, room) {
      const end = Math.min(to, sizeBytes)
      if (end - from > NEAR_BYTES) return load(from, end, room)
      const at = offset + from - near.from
      if (at < 0 || at + end - from > near.octets.length) {
        near.octets = load(from, Math.min(sizeBytes, from + NEAR_BYTES))
        near.from = offset + from
        return near.octets.subarray(0, Math.max(0, end - from))
      }
      return near.octets.subarray(at, at + Math.max(0, end - from))
    },
    view(from, to) {
      const start = Math.max(0, from)
      return inFile(file, offset + from, Math.max(0, Math.min(to, sizeBytes) - start), near)
    },
  }
}

export function* windows(octets: Octets, from = 0, to = octets.sizeBytes): Generator<Buffer> {
  for (let at = from; at < to; at += WINDOW_BYTES)
    yield octets.slice(at, Math.min(to, at + WINDOW_BYTES))
}

export async function sha256(octets: Octets, budget: Budget): Promise<string> {
  const hash = createHash('sha256')
  const room = createRoom()
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    hash.update(octets.slice(at, at + WINDOW_BYTES, room))
    await budget.breathe()
  }
  return hash.digest('hex')
}

/** Takes what a decoder makes. */
export type Sink = {
  readonly sizeBytes: number
  /** False where a limit is reached: the decoder may stop. The chunk is copied. */
  write(chunk: Buffer): boolean
  finish(): Octets
}

/** The files opened for one message; their names are gone before anything is in them, so nothing is left behind. */
export type Scratch = {
  open(path: string, sizeBytes: number): Octets
  /** `likelyBytes`: what the decoder makes if nothing is odd; it may make more, or less. */
  sink(budget: Budget, likelyBytes?: number): Sink
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
    sink: (budget, likelyBytes = 0) => createSink(budget, likelyBytes, nameless),
    [Symbol.dispose]() {
      for (const file of files.splice(0)) closeSync(file)
    },
  }
}

function createSink(budget: Budget, likelyBytes: number, nameless: () => number): Sink {
  const { leafBytes, memoryBytes } = budget.limits
  let held = NOTHING
  let heldBytes = 0
  let sizeBytes = 0
  let file: number | undefined
  const append = (chunk: Buffer): void => {
    file ??= nameless()
    for (let done = 0; done < chunk.length; ) done += writeSync(file, chunk, done)
  }
  const spill = (): void => {
    append(held.subarray(0, heldBytes))
    heldBytes = 0
  }
  const hold = (chunk: Buffer): void => {
    const neededBytes = heldBytes + chunk.length
    if (neededBytes > held.length) {
      const roomBytes = Math.max(neededBytes, 2 * held.length, LEAST_HELD_BYTES, likelyBytes)
      const room = Buffer.allocUnsafeSlow(Math.min(roomBytes, memoryBytes))
      held.copy(room, 0, 0, heldBytes)
      held = room
    }
    chunk.copy(held, heldBytes)
    heldBytes = neededBytes
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
      sizeBytes += chunk.length
      if (heldBytes + chunk.length > memoryBytes) spill()
      if (chunk.length > memoryBytes) append(chunk)
      else hold(chunk)
      return true
    },
    finish() {
      if (file !== undefined) {
        spill()
        return inFile(file, 0, sizeBytes)
      }
      // What was expected, and did not come, is not kept for as long as the leaf.
      const octets = held.subarray(0, heldBytes)
      return inMemory(2 * heldBytes < held.length ? Buffer.from(octets) : octets)
    },
  }
}
