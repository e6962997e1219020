// Reads the files a configuration names, and says what to do about one that can't be read.
import { readFile, stat } from 'node:fs/promises'
import type { Path } from '../faults.ts'
import type { CheckContext } from './check.ts'

/** Certificates, keys and passwords are small; a path like /dev/zero is not followed far. */
const FILE_OCTETS = 16 * 1024 * 1024

/** Its octets, or undefined once the fault was told. For files that only the primary process reads. */
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

/** As `readNamedFile`, for files that the workers read too, as the user they become. */
export async function readWorkersFile(
  file: string,
  path: Path,
  context: CheckContext,
): Promise<Buffer | undefined> {
  const octets = await readNamedFile(file, path, context)
  const { account, findings, machine } = context
  if (!octets || !account || (await machine.isReadableBy(account, file))) return octets
  const mend = `chgrp ${account.gid} and chmod 640 it, and let its folders be entered (chmod o+x)`
  findings.fault(path, `\`${file}\` can't be read by the user \`${account.name}\``, mend)
  return octets
}
