// Reads the files a configuration names, and says what to do about one that can't be read.
import { readFile, stat } from 'node:fs/promises'
import type { Path } from '../faults.ts'
import type { CheckContext } from './check.ts'

/** Certificates, keys and passwords are small; a path like /dev/zero is not followed far. */
const FILE_OCTETS = 16 * 1024 * 1024

/** Its octets, or undefined once the fault was told. */
export async function readNamedFile(
  file: string,
  path: Path,
  { findings }: CheckContext,
): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(file)
    if (size > FILE_OCTETS) {
      findings.fault(path, `\`${file}\` is larger than ${FILE_OCTETS} octets`, 'name another file')
      return undefined
    }
    return await readFile(file)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const mend = MENDS[code] ?? 'name a file that we may read'
    findings.fault(path, `\`${file}\` can't be read (${code})`, mend)
    return undefined
  }
}

const MENDS: Record<string, string> = {
  ENOENT: 'make the file, or name the right one',
  EACCES: 'let us read it: chmod, chown, or start as root with `user`',
  EISDIR: 'name a file, not a folder',
  ENOTDIR: 'name the right file',
}
