// What file system a folder lies on, and whether an ext4 has a journal: files cost very differently without.
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'

/** `device` is as the kernel lists it: `/dev/sda1`, or a word where there is none. */
export type Mount = { point: string; type: string; device: string }
export type FileSystem = Mount & {
  /** Undefined where it isn't ext4, or can't be known. */
  journal: boolean | undefined
}

const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Where a path lies, by the text of /proc/self/mountinfo (proc(5)): a later mount lies above an earlier one. */
export function mountOf(mountinfo: string, file: string): Mount | undefined {
  let found: Mount | undefined
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const point = unescaped(before.split(' ')[4] ?? '')
    const isAbove = point === '/' || file === point || file.startsWith(`${point}/`)
    if (point === '' || !isAbove || point.length < (found?.point.length ?? 0)) continue
    const [type = '', device = ''] = after.split(' ')
    found = { point, type, device: unescaped(device) }
  }
  return found
}

export function fileSystemOf(folder: string): FileSystem {
  const mount = mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(folder))
  if (!mount) return { point: '/', type: 'unknown', device: 'none', journal: undefined }
  return { ...mount, journal: mount.type === 'ext4' ? hasJournal(mount.device) : undefined }
}

/** As the kernel tells it of each mounted ext4, and older ones of each journal. */
function hasJournal(device: string): boolean | undefined {
  try {
    const name = path.basename(realpathSync(device))
    const task = textOf(`/sys/fs/ext4/${name}/journal_task`)
    if (task !== undefined) return task.trim() !== '<none>'
    return readdirSync('/proc/fs/jbd2').some(journal => journal.startsWith(`${name}-`))
  } catch {
    return undefined
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** For the line above all numbers. */
export function nameOf({ type, journal }: FileSystem): string {
  if (journal === undefined) return type
  return `${type} ${journal ? 'with' : 'without'} a journal`
}

/** What its numbers would mislead about; nothing where they are like others'. */
export function warningOf({ journal }: FileSystem): string | undefined {
  if (journal !== false) return undefined
  return (
    'warning: without a journal ext4 passes over recently deleted inodes one by one: to create a file is dear, ' +
    'which holds back whoever makes many; see --disk'
  )
}
