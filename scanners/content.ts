// Reads a message's content, or something out of it, in pieces, no faster than the engine takes them.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Content } from '../gateway/message.ts'
import type { EngineSocket } from './engine-socket.ts'
import { inMemory, type Octets, type Scratch, windows } from './mime/octets.ts'

/** What can be sent to an engine: a message, or something out of one. */
export type Sendable = Content | Octets

const PIECE_BYTES = 65_536
/** Octets; content up to this size is held in memory while its message is scanned. */
const HELD_BYTES = 262_144
/** How long the rest of a reply that came too early is waited for. */
const EARLY_REPLY_MS = 1_000

/**
 * Small content is read once, for all scanners of a message. At once and not in the thread pool, whose three trips
 * cost ten times as much: its file was written moments ago by this host, so it lies in the page cache, or else on a
 * network mount, where the reader of MIME would wait for it all the same.
 * Left as it is where it can't be read whole: whoever needs it then finds out why, and fails.
 */
export function held(content: Content): Content {
  if (content.octets || content.sizeBytes > HELD_BYTES) return content
  try {
    const octets = readWhole(content)
    return octets ? { ...content, octets } : content
  } catch {
    return content
  }
}

function readWhole({ path, sizeBytes }: Content): Buffer | undefined {
  const file = openSync(path, 'r')
  try {
    if (fstatSync(file).size !== sizeBytes) return undefined
    const octets = Buffer.allocUnsafeSlow(sizeBytes)
    return readSync(file, octets, 0, sizeBytes, 0) === sizeBytes ? octets : undefined
  } finally {
    closeSync(file)
  }
}

/** Its octets for the reader; there until `scratch` is disposed of. Throws where its file can't be opened. */
export const octetsOf = ({ path, sizeBytes, octets }: Content, scratch: Scratch): Octets =>
  octets ? inMemory(octets) : scratch.open(path, sizeBytes)

/** The engine replied, or went, before it had everything: what it said is in the socket. */
export class CutShort extends Error {}

/** What is left to be sent of a content; to be disposed of, since its file may be open. */
export type Pieces = AsyncDisposable & {
  /** Undefined at the end. */
  next(): Promise<Buffer | undefined>
}

/**
 * The content in pieces; before each of them the socket's reply, if any, has been read and its buffer emptied.
 * Ends only when all of it was sent: half a message must never count as scanned. So it throws `CutShort` where the
 * engine replies before its time, and another error where the content can't be read or isn't as long as it should be.
 */
export function piecesFor(content: Sendable, socket: EngineSocket): Pieces {
  const all = piecesOf(content)
  const each = Symbol.asyncIterator in all ? all[Symbol.asyncIterator]() : all[Symbol.iterator]()
  let sent = 0
  return {
    async next() {
      const { value: piece, done } = await each.next()
      if (!done) {
        // A turn of the loop lets an engine's "too long, I'm closing" be read before we write into a closed socket.
        await turn()
        await socket.drained()
        sent += piece.length
      } else if (sent !== content.sizeBytes)
        throw new Error(`it has ${sent} octets instead of ${content.sizeBytes}`)
      if (socket.destroyed || socket.readableEnded || socket.bytesRead > 0) await lastWords(socket)
      return done ? undefined : piece
    },
    async [Symbol.asyncDispose]() {
      await each.return?.()
    },
  }
}

/** Its octets as they are; more than `sizeBytes` says, or fewer, where the file has changed. */
export const piecesOf = (content: Sendable): AsyncIterable<Buffer> | Iterable<Buffer> =>
  'path' in content
    ? content.octets
      ? windows(inMemory(content.octets))
      : fromFile(content)
    : windows(content)

async function* fromFile(content: Content): AsyncGenerator<Buffer> {
  await using file = await open(content.path)
  for (let left = content.sizeBytes; ; ) {
    // One octet more than there should be, to see what shouldn't; and no large buffer for a small message.
    const room = Math.min(PIECE_BYTES, Math.max(0, left) + 1)
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(room), 0, room)
    if (bytesRead === 0) return
    left -= bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function lastWords(socket: EngineSocket): Promise<never> {
  await Promise.race([socket.ended, sleep(EARLY_REPLY_MS, undefined, { ref: false })])
  throw new CutShort('the engine did not take everything')
}
