// `--disk`: where everything that is measured has its files: an ext4 with a journal made for it, or a folder of yours.
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, statSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Folder, temporaryFolder, until } from '../support/process.ts'
import { type FileSystem, fileSystemOf, nameOf, warningOf } from './file-system.ts'

export type Disk = {
  fileSystem: FileSystem
  /** Of the kind of its file system, and a warning where its numbers mislead. */
  lines: string[]
} & AsyncDisposable

/** What a sparse image may grow to: 50 messages of 20 MB in the spool and at clamd, or the journal of a million. */
const IMAGE_BYTES = 8 * 2 ** 30
const BUSY_MS = 10_000
const ELSE = 'or say --disk FOLDER, a folder on the file system you mean'

/** Until it is closed all temporary folders, those of programs started included, lie there. */
export async function openDisk(where: string | undefined): Promise<Disk> {
  if (where === undefined) return described(tmpdir())
  const before = process.env.TMPDIR
  const made = where === 'ext4' ? await makeExt4() : undefined
  const folder = made?.path ?? path.resolve(where)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`--disk ${where}: neither ext4 nor a folder`)
  process.env.TMPDIR = folder
  return {
    ...described(folder),
    async [Symbol.asyncDispose]() {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
      await made?.[Symbol.asyncDispose]()
    },
  }
}

function described(folder: string): Disk {
  const fileSystem = fileSystemOf(folder)
  const warning = warningOf(fileSystem)
  const lines = [`files on ${nameOf(fileSystem)}`, ...(warning === undefined ? [] : [warning])]
  return { fileSystem, lines, async [Symbol.asyncDispose]() {} }
}

/** In an image file that has no name any more once it is mounted: it goes with the mount, whatever becomes of us. */
async function makeExt4(): Promise<Folder> {
  if (process.getuid?.() !== 0)
    throw new Error(`--disk ext4 makes and mounts a file system: run it as root, ${ELSE}`)
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('disk'))
  const { bavail, bsize } = statfsSync(folder.path)
  if (bavail * bsize < IMAGE_BYTES)
    throw new Error(`--disk ext4 wants ${IMAGE_BYTES / 2 ** 30} GiB free in ${tmpdir()}: ${ELSE}`)
  const image = path.join(folder.path, 'image')
  const point = path.join(folder.path, 'm')
  await mkdir(point)
  const file = openSync(image, 'wx', 0o600)
  ftruncateSync(file, IMAGE_BYTES)
  closeSync(file)
  // What is initialized later would be measured.
  const eager = 'lazy_itable_init=0,lazy_journal_init=0'
  run('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', 'has_journal', '-E', eager, image])
  run('mount', ['-t', 'ext4', '-o', 'loop', image, point])
  const leave = () => void spawnSync('umount', ['--lazy', point])
  process.once('exit', leave)
  stack.defer(async () => {
    // A server that is just ending may still be there.
    const unmounted = () => spawnSync('umount', [point]).status === 0
    await until(`${point} to be left by all`, unmounted, BUSY_MS).catch(leave)
    process.off('exit', leave)
  })
  rmSync(image)
  await chmod(point, 0o1777)
  const mounted = stack.move()
  return { path: point, [Symbol.asyncDispose]: () => mounted.disposeAsync() }
}

function run(program: string, args: string[]): void {
  const { error, status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (error)
    throw new Error(`--disk ext4 wants ${program} (Debian: e2fsprogs, mount): install it, ${ELSE}`)
  if (status !== 0)
    throw new Error(
      `--disk ext4: ${program}: ${stderr.trim()}; in a container it wants more, ${ELSE}`,
    )
}
