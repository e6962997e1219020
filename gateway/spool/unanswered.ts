// Messages whose client may not know our answer: how a retry finds what became of the first try.
//
// While a session carries a message, and after its client was lost, a symbolic link named by the fingerprint (reverse-path
// and content) points at it. Once the client has the answer the link goes: acknowledged mail never matches.
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { linkIfFree, statIfThere, targetIfThere, unlinkIfThere } from './disk.ts'
import { type Identity, liveness, readIdentity, writeIdentity } from './identity.ts'

/** RFC 5321 §4.5.4.1: clients retry at least every 30 minutes; within a day all but the oddest have. */
export const REMEMBER_MS = 24 * 3_600_000
/** Sessions at once that carry the same content from the same reverse-path, told apart by a number. */
const SLOTS = 200
const LONGEST_GAP = 8
/** No session carries a message for longer: an entry this old, of a host that we can't ask, is a lost client's. */
const LONGEST_CARRIED_MS = 900_000

/** A session's own entry. */
export type Entry = {
  /** The client was lost: from now on its retry finds this. */
  leave(): Promise<void>
  /** The client has its answer. */
  forget(): Promise<void>
}

export type Entered = { entry: Entry | undefined; earlier: string[] }

export type Unanswered = {
  /**
   * Enters a message that a session begins to carry. `earlier` are messages of the same fingerprint whose session is gone.
   * Undefined where all slots are taken: such a message's retry is not recognised.
   */
  enter(fingerprint: string, id: string): Promise<Entered>
  /** Whether a message waits for its client's retry. */
  has(fingerprint: string, id: string): Promise<boolean>
  /** Removes the entry of a message that came to nothing, or whose retry was answered. */
  forget(fingerprint: string, id: string): Promise<void>
  /** Turns the entries of sessions whose process died into entries of lost clients. */
  adopt(): Promise<void>
  /** Removes entries older than a day; returns how many. */
  expire(nowMs?: number): Promise<number>
}

type Found = { link: string; id: string }

export function createUnanswered(folder: string, own: Identity): Unanswered {
  const identity = writeIdentity(own)
  /** What sessions of this process carry, whatever the file system still says of them. */
  const carrying = new Set<string>()
  const carriedAt = (fingerprint: string, slot: number) =>
    path.join(folder, `${fingerprint}.carried-${slot}`)
  const leftAt = (fingerprint: string, slot: number) =>
    path.join(folder, `${fingerprint}.left-${slot}`)

  /** Makes a link in the first free slot; undefined where there is none. `taken` hears of each slot passed over. */
  async function linkIn(
    at: (slot: number) => string,
    target: string,
    taken: (link: string) => Promise<void>,
  ): Promise<string | undefined> {
    for (let slot = 0; slot < SLOTS; slot++) {
      const link = at(slot)
      if (linkIfFree(target, link)) return link
      await taken(link)
    }
    return undefined
  }

  /** The message a link points at, where the process that carried it is gone. */
  async function abandoned(link: string): Promise<string | undefined> {
    const [id, holder = ''] = (targetIfThere(link) ?? '').split('@')
    const owner = readIdentity(holder)
    if (!id || !owner) return undefined
    if (holder === identity) return carrying.has(id) ? undefined : id
    const state = await liveness(owner, own)
    if (state !== 'unknown') return state === 'dead' ? id : undefined
    const stat = statIfThere(link)
    return stat !== undefined && Date.now() - stat.mtimeMs > LONGEST_CARRIED_MS ? id : undefined
  }

  /** Those in use, of slots that are filled from the first on. */
  function linksIn(at: (slot: number) => string): Found[] {
    const found: Found[] = []
    // Those that were answered leave gaps; so many in a row are the end.
    for (let slot = 0, gaps = 0; slot < SLOTS && gaps < LONGEST_GAP; slot++) {
      const link = at(slot)
      const target = targetIfThere(link)
      gaps = target === undefined ? gaps + 1 : 0
      if (target !== undefined) found.push({ link, id: target.split('@')[0] ?? '' })
    }
    return found
  }
  const leftOf = (fingerprint: string) => linksIn(slot => leftAt(fingerprint, slot))
  /** A link is made among the left before it goes from the carried: looked for the other way round, it is never missed. */
  const allOf = (fingerprint: string) => [
    ...linksIn(slot => carriedAt(fingerprint, slot)),
    ...leftOf(fingerprint),
  ]

  async function leave(fingerprint: string, id: string, carried: string): Promise<string> {
    const target = `${id}@${identity}`
    const link = await linkIn(
      slot => leftAt(fingerprint, slot),
      target,
      async () => undefined,
    )
    if (link === undefined) return carried
    unlinkIfThere(carried)
    return link
  }

  return {
    async enter(fingerprint, id) {
      const earlier: string[] = []
      let link: string | undefined
      carrying.add(id)
      try {
        link = await linkIn(
          slot => carriedAt(fingerprint, slot),
          `${id}@${identity}`,
          async taken => {
            const gone = await abandoned(taken)
            if (gone !== undefined) earlier.push(gone)
          },
        )
      } finally {
        if (link === undefined) carrying.delete(id)
      }
      for (const left of leftOf(fingerprint)) earlier.push(left.id)
      if (link === undefined) return { entry: undefined, earlier }
      const entry: Entry = {
        async leave() {
          carrying.delete(id)
          if (link !== undefined) link = await leave(fingerprint, id, link)
        },
        async forget() {
          if (link !== undefined) unlinkIfThere(link)
          carrying.delete(id)
        },
      }
      return { entry, earlier }
    },
    async has(fingerprint, id) {
      return allOf(fingerprint).some(found => found.id === id)
    },
    async forget(fingerprint, id) {
      for (const found of allOf(fingerprint)) if (found.id === id) unlinkIfThere(found.link)
    },
    async adopt() {
      for (const name of await readdir(folder)) {
        const [fingerprint = '', state = ''] = name.split('.')
        if (!state.startsWith('carried-')) continue
        const link = path.join(folder, name)
        const id = await abandoned(link)
        if (id !== undefined) await leave(fingerprint, id, link)
      }
    },
    async expire(nowMs = Date.now()) {
      let removed = 0
      for (const name of await readdir(folder)) {
        const link = path.join(folder, name)
        const stat = statIfThere(link)
        if (stat && nowMs - stat.mtimeMs > REMEMBER_MS && unlinkIfThere(link)) removed++
      }
      return removed
    },
  }
}
