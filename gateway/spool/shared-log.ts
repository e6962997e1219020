// Appends to outcome logs. Those of held messages are names of one file for a while: to make a file is what costs the most.
//
// A line in a shared file begins with the id of its message, and only that message's reader takes it. Nobody but the process
// that made the file writes to it. Once somebody else has more to say, or the message is in custody, its lines are copied to
// a file of its own, which is on disk before it takes the log's name.
import { randomBytes } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { textIfThere, unlinkIfThere, writeDurably } from './disk.ts'
import { NO_SECOND_NAME } from './holder.ts'
import { appendOwn, type LogLine, linesOf, markedLines } from './outcome-log.ts'

/** A reader reads them all: some thirty logs of one line. */
const SHARED_BYTES = 8192
/** What is longer gets a file of its own. */
const ONE_BYTES = 2048
const { O_WRONLY, O_APPEND } = constants

export type OutcomeLogs = {
  /**
   * Appends lines; the caller makes them durable where they must be. Says whether the name of the log is new, or is that of
   * another file. With `mayShare`, the file may be shared with other messages.
   */
  append(
    log: string,
    message: { id: string; mayShare: boolean },
    lines: readonly LogLine[],
  ): Promise<boolean>
} & Disposable

/** `folder` holds the names of files under way, in the same file system as the logs. */
export function createOutcomeLogs(folder: string): OutcomeLogs {
  const run = randomBytes(8).toString('hex')
  let shared: { file: string; stat: BigIntStats; sizeBytes: number } | undefined
  let made = 0
  let never = false
  /** Logs whose lines are being copied to a file of their own. */
  const moving = new Map<string, Promise<void>>()

  function begin() {
    const file = `${folder}/${run}-log-${++made}`
    // Never one that was there: what is known of a file is known from having made it.
    const fd = openSync(file, 'wx', 0o640)
    try {
      return { file, stat: fstatSync(fd, { bigint: true }), sizeBytes: 0 }
    } finally {
      closeSync(fd)
    }
  }

  /** The logs keep it. */
  function retire(): void {
    const file = shared?.file
    shared = undefined
    try {
      if (file !== undefined) unlinkIfThere(file)
    } catch {
      // What can't be removed now is left behind.
    }
  }

  /** Undefined where it has to be written elsewhere. */
  function appendShared(log: string, id: string, lines: readonly LogLine[]): boolean | undefined {
    // Whoever defers is likely to go on in custody.
    if (never || lines.some(line => line.kind !== 'end')) return undefined
    const text = markedLines(id, lines)
    if (text.length > ONE_BYTES) return undefined
    const there = lstatSync(log, { bigint: true, throwIfNoEntry: false })
    if (there && (there.ino !== shared?.stat.ino || there.dev !== shared.stat.dev)) return undefined
    if (!there && shared && shared.sizeBytes > SHARED_BYTES) retire()
    if (there && shared && shared.sizeBytes > 2 * SHARED_BYTES) return undefined
    try {
      shared ??= begin()
      write(shared.file, text)
      shared.sizeBytes += Buffer.byteLength(text)
      // Complete before it has that name.
      if (!there) linkSync(shared.file, log)
      return !there
    } catch (error) {
      // Half a line may be in it. If it is the file system's fault, the other way will tell.
      retire()
      never = NO_SECOND_NAME.includes((error as NodeJS.ErrnoException).code ?? '')
      return undefined
    }
  }

  return {
    async append(log, { id, mayShare }, lines) {
      for (let moved = false; ; moved = true) {
        if (moving.has(id)) {
          await moving.get(id)
          moved = true
        }
        const isNew = (mayShare ? appendShared(log, id, lines) : undefined) ?? appendOwn(log, lines)
        if (isNew !== undefined) return isNew || moved
        const move = moveOut(log, id).finally(() => moving.delete(id))
        moving.set(id, move)
      }
    },
    [Symbol.dispose]: retire,
  }
}

/** In one write, which is flushed to a server of files when the file is closed. Never makes the file. */
function write(file: string, text: string): void {
  const fd = openSync(file, O_WRONLY | O_APPEND)
  try {
    writeFileSync(fd, text)
  } finally {
    closeSync(fd)
  }
}

/** What the log said of the message may be on disk already: until the copy is, it says so there. */
async function moveOut(log: string, id: string): Promise<void> {
  const aside = `${log}.aside`
  await writeDurably(aside, linesOf(textIfThere(log) ?? '', id))
  renameSync(aside, log)
}
