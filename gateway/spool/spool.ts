// The spool: where content, claim and outcome log of a message lie, and what "in custody" means on disk.
import { renameSync } from 'node:fs'
import { mkdir, readdir, statfs, writeFile } from 'node:fs/promises'
import type { Content, Envelope, Recipient } from '../message.ts'
import { type Claims, createClaims } from './claim.ts'
import {
  renameIfThere,
  statIfThere,
  syncIfThere,
  syncPath,
  textIfThere,
  unlinkIfThere,
  writeDurably,
} from './disk.ts'
import { createHolder } from './holder.ts'
import { isId, newId } from './id.ts'
import type { Identity } from './identity.ts'
import { createFile, type NewFile } from './new-file.ts'
import { type LogLine, type LogState, readLog } from './outcome-log.ts'
import { createOutcomeLogs } from './shared-log.ts'
import { createSharedSync } from './shared-sync.ts'
import { createUnanswered, type Unanswered } from './unanswered.ts'

/** The part of the spool that a session sees. */
export type IncomingStore = {
  /** A fresh message id. */
  newId(): string
  /** Creates `incoming/<id>.eml` for writing; fails if it exists. The caller closes it. */
  openContent(id: string): Promise<NewFile>
  contentPath(id: string): string
  /** Removes what a transaction that came to nothing left. */
  removeContent(id: string): Promise<void>
}

export type Queued = { id: string; modifiedAt: number }

export type Spool = IncomingStore & {
  claims: Claims
  unanswered: Unanswered
  content(id: string): Promise<Content | undefined>
  log(id: string): Promise<LogState>
  /** Appends to the outcome log; in custody it is on disk when this resolves. Only for the holder of the claim. */
  append(id: string, lines: readonly LogLine[]): Promise<void>
  /** Makes the message ours, durably: content, log and envelope, `incoming/`, the envelope's name, `queued/`. */
  takeCustody(envelope: Envelope): Promise<void>
  inCustody(id: string): Promise<boolean>
  /** Makes what another process put into custody durable, as far as it had not come to that. */
  confirmCustody(): Promise<void>
  /** The envelope of a message in custody. One that can't be read goes to `corrupt/`, and `undefined` comes back. */
  envelope(id: string): Promise<Envelope | undefined>
  /** Writes a message of our own; overwrites what a crash left of it. */
  writeContent(id: string, bytes: Uint8Array): Promise<void>
  /** Puts an envelope that can't be acted upon into `corrupt/`, with content and log: the sweep would clear them away. */
  setAside(id: string, cause: string): Promise<void>
  /** The end of custody: the envelope goes first, durably, then the rest. Only for the holder of the claim. */
  endCustody(id: string, keepLog: boolean): Promise<void>
  /** Removes what a message that never came into custody left; its claim is its holder's to release. */
  removeHeld(id: string): Promise<void>
  /** Everything in custody. Files that are not ours go to `corrupt/`. */
  queued(): Promise<Queued[]>
  /** Names in `incoming/`, with their age. */
  incoming(): Promise<string[]>
  incomingPath(name: string): string
  freeBytes(): Promise<number>
} & Disposable

export type SpoolOptions = {
  folder: string
  identity: Identity
  corrupted(file: string, cause: string): void
}

/** Opens a spool, making its folders where they are missing. */
export async function createSpool(options: SpoolOptions): Promise<Spool> {
  const { folder } = options
  const place = (name: string) => `${folder}/${name}`
  for (const name of ['incoming', 'queued', 'corrupt', 'unanswered', 'holders'])
    await mkdir(place(name), { recursive: true, mode: 0o750 })

  const incomingPath = (name: string) => `${folder}/incoming/${name}`
  const contentPath = (id: string) => incomingPath(`${id}.eml`)
  const logPath = (id: string) => incomingPath(`${id}.log`)
  const asidePath = (id: string) => incomingPath(`${id}.envelope`)
  const envelopePath = (id: string) => `${folder}/queued/${id}.json`
  const holder = createHolder(place('holders'), options.identity)
  const claims = createClaims(place('incoming'), holder)

  const logs = createOutcomeLogs(place('holders'))
  const syncIncoming = createSharedSync(place('incoming'))
  const syncQueued = createSharedSync(place('queued'))

  const inCustody = async (id: string) => statIfThere(envelopePath(id)) !== undefined

  async function setAside(name: string, cause: string): Promise<void> {
    const mark = Date.now().toString(36)
    const corrupt = (file: string) => `${folder}/corrupt/${file}.${mark}`
    const id = idIn(name)
    // The envelope goes last: until then the sweep leaves the others alone.
    for (const file of id === undefined ? [] : [`${id}.eml`, `${id}.log`])
      await renameIfThere(incomingPath(file), corrupt(file))
    if (await renameIfThere(place(`queued/${name}`), corrupt(name))) options.corrupted(name, cause)
  }

  async function takeCustody(envelope: Envelope): Promise<void> {
    const { id } = envelope
    const aside = asidePath(id)
    // The file of its log may have other names: what is fsynced is the file, and the name with the folder. The envelope is
    // none before it has its name, which it gets when all the others are on disk.
    const [logged] = await Promise.all([
      syncIfThere(logPath(id)),
      syncPath(contentPath(id)),
      writeDurably(aside, JSON.stringify({ version: 1, envelope })),
    ])
    await syncIncoming()
    renameSync(aside, envelopePath(id))
    try {
      await syncQueued()
    } catch (error) {
      // Not known to be durable is not in custody.
      unlinkIfThere(envelopePath(id))
      throw error
    }
    // What a worker logged between the first look and the rename was not yet durable (its own fsync comes after). If that
    // fails it is in custody all the same: at worst somebody gets a second copy after a power cut.
    await syncNewLog(id, !logged).catch(() => undefined)
  }

  async function syncNewLog(id: string, isNew: boolean): Promise<void> {
    if ((await syncIfThere(logPath(id))) && isNew) await syncIncoming()
  }

  async function envelope(id: string): Promise<Envelope | undefined> {
    const text = textIfThere(envelopePath(id))
    if (text === undefined) return undefined
    const read = readEnvelope(id, text)
    if (typeof read === 'string') await setAside(`${id}.json`, read)
    return typeof read === 'string' ? undefined : read
  }

  async function removeHeld(id: string): Promise<void> {
    unlinkIfThere(contentPath(id))
    unlinkIfThere(logPath(id))
    // Only custody that could not be taken leaves it.
    if (statIfThere(asidePath(id))) unlinkIfThere(asidePath(id))
  }

  async function queued(): Promise<Queued[]> {
    const found: Queued[] = []
    for (const name of await readdir(place('queued'))) {
      // NFS keeps a file that is open elsewhere when it is removed as `.nfs…`.
      if (name.startsWith('.')) continue
      const id = idIn(name)
      const file = statIfThere(place(`queued/${name}`))
      if (id !== undefined && file?.isFile()) found.push({ id, modifiedAt: file.mtimeMs })
      else if (file) await setAside(name, 'not an envelope of ours')
    }
    return found
  }

  return {
    claims,
    unanswered: createUnanswered(place('unanswered'), holder),
    newId: () => newId(),
    openContent: async id => createFile(contentPath(id)),
    contentPath,
    removeContent: async id => void unlinkIfThere(contentPath(id)),
    async content(id) {
      const file = statIfThere(contentPath(id))
      return file && { path: contentPath(id), sizeBytes: file.size }
    },
    log: async id => readLog(logPath(id), id),
    async append(id, lines) {
      const mayShare = !(await inCustody(id))
      const isNew = await logs.append(logPath(id), { id, mayShare }, lines)
      if (await inCustody(id)) await syncNewLog(id, isNew)
    },
    takeCustody,
    inCustody,
    confirmCustody: syncQueued,
    envelope,
    async endCustody(id, keepLog) {
      unlinkIfThere(envelopePath(id))
      await syncQueued()
      unlinkIfThere(contentPath(id))
      // Mostly all ended at once, and there is none.
      if (!keepLog && statIfThere(logPath(id))) unlinkIfThere(logPath(id))
    },
    writeContent: (id, bytes) => writeFile(contentPath(id), bytes, { mode: 0o640 }),
    setAside: (id, cause) => setAside(`${id}.json`, cause),
    removeHeld,
    queued,
    incoming: () => readdir(place('incoming')),
    incomingPath,
    async freeBytes() {
      const system = await statfs(folder)
      return system.bavail * system.bsize
    },
    [Symbol.dispose]() {
      claims[Symbol.dispose]()
      holder[Symbol.dispose]()
      logs[Symbol.dispose]()
    },
  }
}

/** The message an envelope's file name names. */
function idIn(name: string): string | undefined {
  const id = name.endsWith('.json') ? name.slice(0, -5) : ''
  return isId(id) ? id : undefined
}

const isRecipient = (one: unknown): boolean =>
  typeof one === 'object' &&
  one !== null &&
  typeof (one as Recipient).address === 'string' &&
  typeof (one as Recipient).domain === 'string'

/** The envelope in a file's text, or why it is none. */
function readEnvelope(id: string, text: string): Envelope | string {
  let parsed: { version?: unknown; envelope?: Partial<Envelope> }
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    return `not JSON: ${(error as Error).message}`
  }
  const { version, envelope } = parsed ?? {}
  if (version !== 1) return `version ${String(version)} is not known`
  if (envelope?.id !== id) return 'its id is not its name'
  if (!Array.isArray(envelope.recipients) || envelope.recipients.length === 0)
    return 'no recipients'
  if (!envelope.recipients.every(isRecipient)) return 'a recipient without address or domain'
  if (typeof envelope.reversePath !== 'string') return 'no reverse-path'
  if (!Number.isFinite(envelope.receivedAt)) return 'no time of receipt'
  return envelope as Envelope
}
