// Keeps mail that nobody is to have yet: a Maildir any mail program reads, with the decision beside each message.
import { randomBytes } from 'node:crypto'
import { constants, copyFile, link, mkdir, readdir, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Message, Recipient } from '../message.ts'
import { statIfThere, syncPath, unlinkIfThere, writeDurably } from '../spool/disk.ts'
import { type Decision, isName, nameOf, readDecision, sanitised } from './decision.ts'

export type QuarantineOptions = {
  /** The Maildir; made where it is missing. */
  folder: string
  /** Days until `expire` removes a message; 0 keeps everything for ever. */
  keepDays: number
}

export type Keep = {
  message: Message
  /** Those of the envelope it is kept for. */
  recipients: Recipient[]
  reason: string
  policy: string
}

/** A decision, and where its message lies now; a Maildir program may have moved it from new/ to cur/. */
export type QuarantineEntry = Decision & { place: string }

export type Quarantine = {
  /**
   * Resolves once message and decision are on the disk, content byte for byte; once more for the same message and
   * recipients changes nothing. Rejects with the system's error where it can't: then nothing is in new/.
   */
  keep(entry: Keep): Promise<{ place: string }>
  /** What is in it, oldest first; without messages that somebody removed. */
  list(): Promise<QuarantineEntry[]>
  /** Of one message id: one entry for each group of recipients it was kept for. */
  find(id: string): Promise<QuarantineEntry[]>
  /** What to queue again, its content still in the quarantine; `remove` it once that is in custody. */
  release(name: string): Promise<{ message: Message; recipients: Recipient[] } | undefined>
  /** Removes message and decision; says whether there was one. */
  remove(name: string): Promise<boolean>
  /** Removes what is older than `keepDays`; answers how many messages that were. */
  expire(nowMs?: number): Promise<number>
} & AsyncDisposable

const DAY_MS = 86_400_000
/** What lies longer in tmp/ was left by a crash (Maildir's rule). */
const LEFT_BEHIND_MS = 36 * 3_600_000

/** Rejects where the folders can't be made. */
export async function createQuarantine(options: QuarantineOptions): Promise<Quarantine> {
  const { folder } = options
  const folders = {
    tmp: path.join(folder, 'tmp'),
    new: path.join(folder, 'new'),
    cur: path.join(folder, 'cur'),
    decisions: path.join(folder, 'decisions'),
  }
  for (const one of Object.values(folders)) await mkdir(one, { recursive: true, mode: 0o750 })
  await syncPath(folder)
  await syncPath(path.dirname(folder))
  return quarantineIn(folders, options.keepDays)
}

type Folders = { tmp: string; new: string; cur: string; decisions: string }

function quarantineIn(folders: Folders, keepDays: number): Quarantine {
  const decisionPath = (name: string) => path.join(folders.decisions, `${name}.json`)

  const entries = async (wanted: (name: string) => boolean): Promise<QuarantineEntry[]> => {
    const places = await messagesIn(folders)
    const found: QuarantineEntry[] = []
    for (const name of await decisionNames(folders)) {
      const place = places.get(name)
      if (place === undefined || !wanted(name)) continue
      const decision = await readDecision(decisionPath(name))
      if (decision !== undefined) found.push({ ...decision, name, place })
    }
    return found
  }
  const removeAt = async (name: string, place: string | undefined): Promise<boolean> => {
    const removed = place !== undefined && unlinkIfThere(place)
    // After the message: a decision alone is harmless, a message alone is a riddle.
    unlinkIfThere(decisionPath(name))
    return removed
  }

  return {
    async keep(entry) {
      const name = nameOf(entry.message.envelope, entry.recipients)
      const place = await settled(folders, name, decisionPath(name))
      if (place !== undefined) return { place }
      await writeDecision(folders, decisionPath(name), { ...decide(entry), name })
      return { place: await deliver(folders, name, entry.message) }
    },
    list: () => entries(() => true),
    find: id => entries(name => name.split('.')[1] === id),
    async release(name) {
      const [entry] = await entries(other => other === name)
      if (entry === undefined) return undefined
      const { envelope, recipients, place } = entry
      const content = { path: place, sizeBytes: envelope.sizeBytes }
      return { message: { envelope, content }, recipients }
    },
    async remove(name) {
      return isName(name) && removeAt(name, (await messagesIn(folders)).get(name))
    },
    async expire(nowMs = Date.now()) {
      await removeLeftBehind(folders.tmp, nowMs)
      if (keepDays === 0) return 0
      const places = await messagesIn(folders)
      let removed = 0
      for (const name of await decisionNames(folders)) {
        const keptAt = await keptSince(decisionPath(name))
        if (keptAt === undefined || nowMs - keptAt < keepDays * DAY_MS) continue
        if (await removeAt(name, places.get(name))) removed++
      }
      return removed
    },
    async [Symbol.asyncDispose]() {},
  }
}

const decide = ({ message, recipients, reason, policy }: Keep): Omit<Decision, 'name'> => ({
  id: message.envelope.id,
  policy,
  reason: sanitised(reason),
  keptAt: Date.now(),
  recipients,
  envelope: message.envelope,
})

/** Where an earlier try already put it, made durable once more: it may have ended just before. */
async function settled(
  folders: Folders,
  name: string,
  decision: string,
): Promise<string | undefined> {
  if (statIfThere(decision) === undefined) return undefined
  const place = (await messagesIn(folders)).get(name)
  if (place === undefined) return undefined
  for (const part of [place, folders.new, folders.cur, folders.decisions]) await syncPath(part)
  return place
}

async function writeDecision(folders: Folders, place: string, decision: Decision): Promise<void> {
  if ((await readDecision(place)) !== undefined) return
  const aside = path.join(folders.tmp, asideName(decision.name))
  try {
    await writeDurably(aside, `${JSON.stringify(decision, undefined, 2)}\n`)
    await rename(aside, place)
  } finally {
    unlinkIfThere(aside)
  }
  await syncPath(folders.decisions)
}

/** Maildir: written aside in tmp/, made durable, renamed into new/. Content never changes, so a link is a copy. */
async function deliver(folders: Folders, name: string, { content }: Message): Promise<string> {
  const aside = path.join(folders.tmp, asideName(name))
  const place = path.join(folders.new, name)
  try {
    await linkOrCopy(content.path, aside)
    const { size } = await stat(aside)
    if (size !== content.sizeBytes) {
      throw new Error(`${content.path} has ${size} octets, not ${content.sizeBytes}`)
    }
    await syncPath(aside)
    await rename(aside, place)
  } finally {
    // rename() does nothing between two links of one file.
    unlinkIfThere(aside)
  }
  await syncPath(folders.new)
  return place
}

/** The spool may lie on another file system, or belong to somebody whose files can't be linked. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  }
}

const asideName = (name: string) => `${name}.${randomBytes(6).toString('hex')}`

/** Our messages by name, without the flags that Maildir programs put behind it. */
async function messagesIn(folders: Folders): Promise<Map<string, string>> {
  const places = new Map<string, string>()
  for (const folder of [folders.cur, folders.new]) {
    for (const file of await readdir(folder)) {
      const name = file.split(':', 1)[0] ?? ''
      if (isName(name)) places.set(name, path.join(folder, file))
    }
  }
  return places
}

async function decisionNames(folders: Folders): Promise<string[]> {
  const files = await readdir(folders.decisions)
  return files
    .filter(file => file.endsWith('.json'))
    .map(file => file.slice(0, -'.json'.length))
    .filter(isName)
    .sort()
}

/** From the decision, or the file's own time where it can't be read. */
async function keptSince(decision: string): Promise<number | undefined> {
  const read = await readDecision(decision)
  return read?.keptAt ?? statIfThere(decision)?.mtimeMs
}

async function removeLeftBehind(tmp: string, nowMs: number): Promise<void> {
  for (const file of await readdir(tmp)) {
    const place = path.join(tmp, file)
    const found = statIfThere(place)
    if (found?.isFile() && nowMs - found.mtimeMs > LEFT_BEHIND_MS) unlinkIfThere(place)
  }
}
