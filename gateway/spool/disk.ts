// The few things we do to files, with what POSIX needs for them to survive a power cut.
import {
  closeSync,
  fsync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { constants, open, rename, stat, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Whether a file system's error says that there is no such name. */
export const isMissing = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOENT'

// A trip through the thread pool costs fifty microseconds of CPU, looking at or unlinking a name a few: that is done at
// once, several dozen times a message. What waits for the disk, or moves content, never is. To hear by an error that a name
// is missing costs more than to look first: where it mostly is missing, one looks.

/** Unlinks a file that need not be there, but mostly is; says whether it was. */
export function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** What is known of a file, of a link itself; undefined where it is missing. */
export const statIfThere = (path: string): Stats | undefined =>
  lstatSync(path, { throwIfNoEntry: false })

/** Where a symbolic link points that need not be there, but mostly is. */
export function targetIfThere(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Makes a symbolic link; says whether the name was free. */
export function linkIfFree(target: string, path: string): boolean {
  try {
    symlinkSync(target, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** The names in a folder that mostly is missing: none then. */
export function namesIn(folder: string): string[] {
  if (!statIfThere(folder)) return []
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Removes a folder, unless something lies in it or somebody else did. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    // POSIX allows either for what is not empty.
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(code)) throw error
  }
}

/** A small file's text; undefined where it is missing. */
export function textIfThere(path: string): string | undefined {
  if (!statIfThere(path)) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

const fsyncOf = promisify(fsync)

/** fsync of a file or folder by its path. */
export async function syncPath(path: string): Promise<void> {
  const file = openSync(path, 'r')
  try {
    await fsyncOf(file)
  } finally {
    closeSync(file)
  }
}

/** As `syncPath`, for a file that need not be there; says whether it was. */
export async function syncIfThere(path: string): Promise<boolean> {
  if (!statIfThere(path)) return false
  try {
    await syncPath(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** Writes a new small file and fsyncs it; one that a crash left half-written is overwritten. */
export async function writeDurably(path: string, data: string): Promise<void> {
  const file = openSync(path, 'w', 0o640)
  try {
    writeFileSync(file, data)
    await fsyncOf(file)
  } finally {
    closeSync(file)
  }
}

/** Renames a file that need not be there; says whether it was. */
export async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

export type Owner = { uid: number; gid: number }

/**
 * Gives a folder to somebody who may already own the folder around it: what they could have put there in its place,
 * a link to somebody else's folder, is never given to them. Rejects then.
 */
export async function giveFolder(path: string, { uid, gid }: Owner): Promise<void> {
  const now = await stat(path)
  if (now.isDirectory() && now.uid === uid && now.gid === gid) return
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(error => {
    if (!['ELOOP', 'ENOTDIR'].includes(error.code)) throw error
    throw new Error(
      `${path} leads to a folder that belongs to somebody else: chown that, or name it`,
    )
  })
  try {
    await handle.chown(uid, gid)
  } finally {
    await handle.close()
  }
}

/** Writes a file anew where somebody else may write too: never through a link that lies in its place. */
export async function writeAnew(path: string, data: string, mode = 0o644): Promise<void> {
  unlinkIfThere(path)
  await writeFile(path, data, { flag: 'wx', mode })
}

/** How soon what the file system did not let us do is tried again. */
const TRY_AGAIN_MS = 1000

/**
 * Does what must be done in the end, though nobody waits for it: where the file system fails (read-only for a moment, say)
 * it is done again each second for as long as this process lives. Rejects only for what is no failure of the file system.
 */
export async function inTheEnd(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    setTimeout(() => void inTheEnd(work), TRY_AGAIN_MS).unref()
  }
}
