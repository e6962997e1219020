// The embedded clamd's signatures: official ones from the system or freshclam, else a set of our own that knows EICAR.
import { constants, copyFile, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'
import { writeAnew } from '../spool/disk.ts'

const SYSTEM_FOLDER = '/var/lib/clamav'
const OFFICIAL = /^(main|daily|bytecode)\.c[vl]d$/
const OWN_SET = 'sallyport-test.ndb'

/** The industry's test file, in two so that this file is not taken for it. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}', '$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')

export type Signatures = 'official' | 'test'

const officialIn = async (folder: string) =>
  (await readdir(folder).catch(() => [])).filter(name => OFFICIAL.test(name))

/** Whether the folder has official signatures of viruses (not only the bytecode that comes beside them). */
export const hasOfficial = async (folder: string): Promise<boolean> =>
  (await officialIn(folder)).some(name => !name.startsWith('bytecode'))

/**
 * Copies official signatures that the system has and `database` has not, or has older. They may come from a freshclam
 * of the system; a copy of our own can't change under clamd's feet. Resolves with whether anything was new.
 */
export async function takeFromSystem(database: string, system = SYSTEM_FOLDER): Promise<boolean> {
  let taken = false
  for (const name of await officialIn(system)) {
    const from = path.join(system, name)
    const to = path.join(database, name)
    const { mtimeMs, atime, mtime } = await stat(from)
    const kind = name.slice(0, name.indexOf('.'))
    const ours = (await officialIn(database)).filter(other => other.startsWith(`${kind}.`))
    const ages = await Promise.all(
      ours.map(async o => (await stat(path.join(database, o))).mtimeMs),
    )
    if (ages.some(age => age >= mtimeMs - 1000)) continue
    await rm(`${to}.new`, { force: true })
    await copyFile(from, `${to}.new`, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    await utimes(`${to}.new`, atime, mtime)
    // Two forms of one database would both be loaded.
    for (const other of ours) if (other !== name) await rm(path.join(database, other))
    await rename(`${to}.new`, to)
    taken = true
  }
  return taken
}

/** Takes every database out, for when clamd can't read them. */
export async function clearSignatures(database: string): Promise<void> {
  for (const name of await readdir(database)) {
    await rm(path.join(database, name), { recursive: true, force: true })
  }
}

/**
 * Puts our own set in where there is no official one, and takes it out where there is. Resolves with what `database`
 * now has.
 */
export async function settleSignatures(database: string): Promise<Signatures> {
  const own = path.join(database, OWN_SET)
  if (await hasOfficial(database)) {
    await rm(own, { force: true })
    return 'official'
  }
  await writeAnew(own, `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`)
  return 'test'
}
