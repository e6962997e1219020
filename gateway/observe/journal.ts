// The journal: one line per thing that happened to a message, appended by every process of an instance, not fsynced.
import {
  closeSync,
  constants,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { type JournalEntry, journalFile, journalFileParts, journalLines } from './journal-line.ts'

const KEEP_DAYS = 14
const DAY_MS = 86_400_000
/** Never through a link: root may write here, in a folder that belongs to the workers. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

export type Journal = {
  /**
   * Appends what happened before it returns, so that a kill right after loses nothing. Never throws: lines that meet
   * a full disk are told to `onLost`.
   */
  write(event: string, detail: Record<string, unknown>): void
} & Disposable

export type Owner = { uid: number; gid: number }

/**
 * `folder` is made if missing. `instance` (letters, digits, `-`, `_`) names one start of the gateway: all its processes
 * write the same file, one a day (UTC); those older than `keepDays` are removed when a day begins. `owner` is
 * given by a primary that runs as root, so that its workers may write too.
 */
export function createJournal({
  folder,
  instance,
  keepDays = KEEP_DAYS,
  owner,
  onLost = () => undefined,
  now = Date.now,
}: {
  folder: string
  instance: string
  keepDays?: number
  owner?: Owner | undefined
  onLost?: (error: unknown) => void
  now?: () => number
}): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o750 })
  if (owner !== undefined) lchownSync(folder, owner.uid, owner.gid)
  let day = ''
  let descriptor: number | undefined
  let torn = false
  let last = { ms: Number.NaN, at: '' }

  /** Things happen several at a time, and a time costs as much as the rest of a line. */
  const timeOf = (ms: number): string => {
    if (ms !== last.ms) last = { ms, at: new Date(ms).toISOString() }
    return last.at
  }

  const fileOf = (today: string): number => {
    if (descriptor !== undefined && today === day) return descriptor
    if (descriptor !== undefined) closeSync(descriptor)
    descriptor = undefined
    descriptor = openSync(path.join(folder, journalFile(today, instance)), APPEND, 0o640)
    if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid)
    day = today
    removeOld(folder, new Date(now() - keepDays * DAY_MS).toISOString().slice(0, 10))
    return descriptor
  }

  return {
    write(event, detail) {
      const at = timeOf(now())
      for (const line of journalLines({ at, event, ...detail } as JournalEntry)) {
        try {
          // The kernel appends one write as a whole; a line cut short by a full disk is closed off by the next.
          const text = torn ? `\n${line}` : line
          torn = writeSync(fileOf(at.slice(0, 10)), text) < Buffer.byteLength(text)
          if (torn) onLost(new Error('the disk took only a part of a line'))
        } catch (error) {
          onLost(error)
        }
      }
    },
    [Symbol.dispose]() {
      if (descriptor !== undefined) closeSync(descriptor)
      descriptor = undefined
    },
  }
}

/** Several processes may do this at once. */
function removeOld(folder: string, before: string): void {
  for (const name of readdirSync(folder)) {
    const parts = journalFileParts(name)
    if (parts === undefined || parts.day >= before) continue
    try {
      unlinkSync(path.join(folder, name))
    } catch {
      // Another process was first.
    }
  }
}
