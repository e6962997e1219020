// Lays out a message for a program to look at: a private folder with the message and each of its parts as files.
import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Content } from '../../gateway/message.ts'
import { piecesOf, type Sendable } from '../content.ts'
import { scanLeaves } from '../leaves.ts'
import type { Octets } from '../mime/octets.ts'
import { REMEMBERS_NOTHING } from '../remembers-nothing.ts'
import type { Verdict } from '../scanner.ts'

/** The number is the process that made it: what a killed one left behind, the next one removes. */
const PREFIX = 'sallyport-scan-'
const LEFT = /^sallyport-scan-(\d+)-[A-Za-z0-9]{6}$/

export type Filled = {
  /** Holds the files, and nothing else. */
  path: string
  /** An empty folder for the program to be in. */
  home: string
  /** Each of the files; their names are ours, none is from the message. */
  files(): string[]
  /** Clean where the message could be read whole. */
  verdict: Verdict
} & AsyncDisposable

export type Folders = {
  /** Rejects where the content can't be read, or the folder not be written. */
  fill(
    content: Content,
    signal: AbortSignal,
    opensRar: () => Promise<boolean | undefined>,
  ): Promise<Filled>
  /** A folder with nothing but that file. Rejects where it can't be written. */
  holding(octets: Octets): Promise<Filled>
}

export async function createFolders(scratch: string): Promise<Folders> {
  await removeLeft(scratch)

  /** `lay` puts the files there, and tells their names one by one. */
  async function create(
    lay: (folder: string, files: string[]) => Promise<Verdict>,
  ): Promise<Filled> {
    const top = await mkdtemp(path.join(scratch, `${PREFIX}${process.pid}-`))
    const remove = () => rm(top, { recursive: true, force: true })
    try {
      const [folder, home] = [path.join(top, 'files'), path.join(top, 'home')]
      await Promise.all([mkdir(folder, 0o700), mkdir(home, 0o700)])
      const files: string[] = []
      const verdict = await lay(folder, files)
      return { path: folder, home, files: () => files, verdict, [Symbol.asyncDispose]: remove }
    } catch (error) {
      await remove()
      throw error
    }
  }

  return {
    fill: (content, signal, opensRar) =>
      create(async (folder, files) => {
        files.push(await layMessage(content, folder))
        const lay = async (leaf: Sendable): Promise<Verdict> => {
          files.push(await layPart(leaf, path.join(folder, `part-${files.length}`)))
          return CLEAN
        }
        // One run may look at all of them: none is left out for having been seen before.
        return scanLeaves(content, lay, REMEMBERS_NOTHING, signal, { together: false, opensRar })
      }),
    holding: octets =>
      create(async (folder, files) => {
        files.push(await layPart(octets, path.join(folder, 'part-0')))
        return CLEAN
      }),
  }
}

const CLEAN: Verdict = { kind: 'clean' }

async function layMessage(content: Content, folder: string): Promise<string> {
  const file = path.join(folder, 'message.eml')
  await copyFile(content.path, file, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(file, 0o600)
  const { size } = await stat(file)
  if (size === 0 || size !== content.sizeBytes)
    throw new Error(`the content has ${size} octets instead of ${content.sizeBytes}`)
  return file
}

async function layPart(leaf: Sendable, file: string): Promise<string> {
  await using handle = await open(file, 'wx', 0o600)
  for await (const piece of piecesOf(leaf)) await handle.writeFile(piece)
  return file
}

async function removeLeft(scratch: string): Promise<void> {
  for (const name of await readdir(scratch).catch(() => [])) {
    const pid = Number(LEFT.exec(name)?.[1])
    if (Number.isNaN(pid) || isRunning(pid)) continue
    const folder = path.join(scratch, name)
    const owner = await stat(folder).then(
      found => found.uid,
      () => undefined,
    )
    if (owner === process.getuid?.()) await rm(folder, { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
