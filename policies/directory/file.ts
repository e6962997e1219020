// Knows who exists from a file with one address a line; what it says while being rewritten is never "does not exist".
import { constants, type FileHandle, open } from 'node:fs/promises'
import { domainToASCII } from 'node:url'
import { isAskable, spellings, splitAddress } from './address.ts'
import { within } from './deadline.ts'
import type { Directory, Lookup } from './directory.ts'

export type FileOptions = {
  /** How often, at most, a lookup looks whether the file has changed. */
  recheckMs?: number
  /** Told when the file becomes readable or ceases to be, and of lines that are no addresses. */
  onChange?: (change: { up: boolean; cause?: string }) => void
}

const DEFAULT_RECHECK_MS = 1000
const LIMITS = { fileBytes: 256 * 1024 * 1024, waitMs: 5000 }

type Recipients = { addresses: Set<string>; domains: Set<string> }
type Version = { inode: number; sizeBytes: number; modifiedMs: number; changedMs: number }
type Read =
  | { kind: 'read'; version: Version; recipients: Recipients; cause?: string }
  | { kind: 'same' }
  | { kind: 'writing'; version: Version }
  | { kind: 'unreadable'; cause: string }

/**
 * One address a line, `@example.org` for every local part of a domain, `#` for comments, case ignored. A change
 * counts once nobody has written to the file for `recheckMs`. Until then, and while the file can't be read, who was in
 * it still exists and nobody is unknown. Settles within 5 s whatever the file system does.
 */
export async function createFileDirectory(
  name: string,
  file: string,
  options: FileOptions = {},
): Promise<Directory> {
  const recheckMs = options.recheckMs ?? DEFAULT_RECHECK_MS
  let known: { version: Version; recipients: Recipients } | undefined
  /** A version seen that may not be whole yet. */
  let suspect: Version | undefined
  let doubt: string | undefined = 'not read yet'
  let told: string | undefined
  let lookedAt = 0
  let looking: Promise<void> | undefined

  const tell = (up: boolean, cause?: string) => {
    const news = `${up} ${cause}`
    if (news === told) return
    told = news
    options.onChange?.(cause === undefined ? { up } : { up, cause })
  }
  const look = async () => {
    const read = await readFileOnce(file, known?.version, suspect, recheckMs)
    lookedAt = Date.now()
    suspect = read.kind === 'writing' ? read.version : undefined
    if (read.kind === 'read') known = read
    if (read.kind === 'unreadable') doubt = read.cause
    else doubt = read.kind === 'writing' ? `${file} is being written` : undefined
    if (read.kind === 'read') tell(true, read.cause)
    else if (read.kind === 'unreadable') tell(false, read.cause)
  }
  looking = look().finally(() => {
    looking = undefined
  })
  await within(looking, LIMITS.waitMs, '')

  return {
    name,
    async lookup(address) {
      if (Date.now() - lookedAt >= recheckMs) {
        looking ??= look().finally(() => {
          looking = undefined
        })
        const late = await within(looking, LIMITS.waitMs, `${file} cannot be read in time`)
        if (late !== undefined) return answer(address, known?.recipients, late)
      }
      return answer(address, known?.recipients, doubt)
    },
    async [Symbol.asyncDispose]() {},
  }
}

function answer(address: string, recipients: Recipients | undefined, doubt?: string): Lookup {
  if (recipients !== undefined && isAskable(address) && includes(recipients, address)) {
    return { existence: 'exists', cached: false }
  }
  if (doubt !== undefined) return { existence: 'unavailable', cached: false, cause: doubt }
  return { existence: 'unknown', cached: false }
}

const includes = ({ addresses, domains }: Recipients, address: string): boolean =>
  spellings(address).some(spelling => {
    const { local, domain } = splitAddress(spelling)
    const key = domainKey(domain)
    return addresses.has(`${local.toLowerCase()}@${key}`) || (key !== '' && domains.has(key))
  })

const domainKey = (domain: string) => domainToASCII(domain) || domain.toLowerCase()

const sameVersion = (a: Version | undefined, b: Version) =>
  a?.inode === b.inode &&
  a.sizeBytes === b.sizeBytes &&
  a.modifiedMs === b.modifiedMs &&
  a.changedMs === b.changedMs

async function versionOf(handle: FileHandle): Promise<Version> {
  const { ino, size, mtimeMs, ctimeMs } = await handle.stat()
  return { inode: ino, sizeBytes: size, modifiedMs: mtimeMs, changedMs: ctimeMs }
}

async function readFileOnce(
  file: string,
  known: Version | undefined,
  suspect: Version | undefined,
  recheckMs: number,
): Promise<Read> {
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    // A pipe would be waited for.
    if (!(await handle.stat()).isFile()) return { kind: 'unreadable', cause: `${file} is no file` }
    const version = await versionOf(handle)
    if (sameVersion(known, version)) return { kind: 'same' }
    if (version.sizeBytes > LIMITS.fileBytes) {
      return { kind: 'unreadable', cause: `${file} is larger than ${LIMITS.fileBytes} octets` }
    }
    if (!isWhole(version, known, suspect, recheckMs)) return { kind: 'writing', version }
    const parsed = parseRecipients(await handle.readFile('utf8'))
    if (!sameVersion(await versionOf(handle), version)) return { kind: 'writing', version }
    return { kind: 'read', version, ...parsed }
  } catch (error) {
    const cause = error instanceof Error ? error.message : 'cannot be read'
    return { kind: 'unreadable', cause: cause.slice(0, 300) }
  }
}

/** Nothing read yet, unchanged since the last look, or not written to for a while; emptiness always waits. */
function isWhole(
  version: Version,
  known: Version | undefined,
  suspect: Version | undefined,
  recheckMs: number,
): boolean {
  if (sameVersion(suspect, version)) return true
  if (version.sizeBytes === 0) return false
  return known === undefined || Date.now() - version.modifiedMs >= recheckMs
}

function parseRecipients(text: string): { recipients: Recipients; cause?: string } {
  const recipients: Recipients = { addresses: new Set(), domains: new Set() }
  let wrong = 0
  let firstWrong = 0
  for (const [i, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const entry = line.replace(/(?:^|\s)#.*$/s, '').trim()
    if (entry === '') continue
    const { local, domain } = splitAddress(entry)
    if (domain === '') {
      wrong++
      firstWrong ||= i + 1
    } else if (local === '') recipients.domains.add(domainKey(domain))
    else recipients.addresses.add(`${local.toLowerCase()}@${domainKey(domain)}`)
  }
  if (wrong === 0) return { recipients }
  return { recipients, cause: `${wrong} lines are not addresses, the first is line ${firstWrong}` }
}
