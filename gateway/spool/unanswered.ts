// Messages whose client may not know our answer: how a retry finds what became of the first try.
//
// While a session carries a message, a name of fingerprint (client, reverse-path and content) and id says so; it is a further
// name of the link that says who the process is. After the client was lost the name moves to a folder of its fingerprint.
// Once the client has the answer it goes: acknowledged mail never matches.
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import {
  isMissing,
  namesIn,
  removeIfEmpty,
  statIfThere,
  targetIfThere,
  unlinkIfThere,
} from './disk.ts'
import type { Holder } from './holder.ts'
import { liveness, readIdentity, writeIdentity } from './identity.ts'

/** RFC 5321 §4.5.4.1: clients retry at least every 30 minutes; within a day all but the oddest have. */
export const REMEMBER_MS = 24 * 3_600_000
/** Tries of the same content by the same client that are remembered at once. */
const MOST_LEFT = 200
/** No session carries a message for longer: an entry this old, of a host that we can't ask, is a lost client's. */
const LONGEST_CARRIED_MS = 900_000
/** Made by versions that knew an entry by a number, as links to `<id>@<who carries it>`. */
const FORMER = /^(\w+)\.(carried|left)-\d+$/

/** A session's own entry. */
export type Entry = {
  /** The client was lost: from now on its retry finds this. */
  leave(): Promise<void>
  /** The client has its answer. */
  forget(): Promise<void>
}

export type Entered = { entry: Entry; earlier: string[] }

export type Unanswered = {
  /** Enters a message that a session begins to carry. `earlier` are those of the same fingerprint whose session is gone. */
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

export function createUnanswered(folder: string, holder: Holder): Unanswered {
  const identity = writeIdentity(holder.own)
  /** What sessions of this process carry, whatever the file system still says of them. */
  const carrying = new Set<string>()
  /** Few names in each: one look finds all of a fingerprint. They stay. */
  const among = (fingerprint: string) => `${folder}/${fingerprint.slice(0, 2)}`
  const carriedAt = (fingerprint: string, id: string) =>
    `${among(fingerprint)}/${fingerprint}.${id}`
  const allLeft = `${folder}/left`
  const leftOf = (fingerprint: string) => `${allLeft}/${fingerprint}`
  const leftAt = (fingerprint: string, id: string) => `${leftOf(fingerprint)}/${id}`

  /** Makes the name that says who carries it. One that is there already is ours: ids are unique. */
  function put(fingerprint: string, id: string): void {
    const wish = { usable: () => true, mayBeThere: true }
    try {
      holder.put(carriedAt(fingerprint, id), wish)
    } catch (error) {
      if (!isMissing(error)) throw error
      mkdirSync(among(fingerprint), { recursive: true, mode: 0o750 })
      holder.put(carriedAt(fingerprint, id), wish)
    }
  }

  /** Whether the process that carried it is gone. `holds` is its identity. */
  async function isAbandoned(link: string, id: string, holds: string): Promise<boolean> {
    const owner = readIdentity(holds)
    if (!owner) return false
    if (holds === identity) return !carrying.has(id)
    const state = await liveness(owner, holder.own)
    if (state !== 'unknown') return state === 'dead'
    // The link was renewed right before it got this name, or later.
    const stat = statIfThere(link)
    return stat !== undefined && Date.now() - stat.mtimeMs > LONGEST_CARRIED_MS
  }

  /** Those of sessions that are gone, of the names in a folder. */
  async function abandonedOf(names: readonly string[], at: (name: string) => string) {
    const gone: string[] = []
    for (const name of names) {
      const id = name.slice(name.indexOf('.') + 1)
      if (carrying.has(id)) continue
      const target = targetIfThere(at(name)) ?? ''
      if (await isAbandoned(at(name), id, target.split('@')[0] ?? '')) gone.push(name)
    }
    return gone
  }

  /**
   * Moves a name to those left, in one step: who looks among the carried first, and then among the left, never misses it.
   * Where somebody else moved or removed it there is nothing to do.
   */
  function leave(link: string, fingerprint: string, id: string): void {
    const left = leftOf(fingerprint)
    // Whoever removes the last name in a folder removes the folder, in between too.
    for (let tries = 0; statIfThere(link) && tries < 5; tries++) {
      mkdirSync(left, { recursive: true, mode: 0o750 })
      if (namesIn(left).length >= MOST_LEFT) {
        unlinkIfThere(link)
        return
      }
      try {
        renameSync(link, leftAt(fingerprint, id))
        return
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    }
  }

  function forgetLeft(fingerprint: string, id: string): void {
    if (unlinkIfThere(leftAt(fingerprint, id))) removeIfEmpty(leftOf(fingerprint))
  }

  return {
    async enter(fingerprint, id) {
      const link = carriedAt(fingerprint, id)
      carrying.add(id)
      let earlier: string[]
      try {
        // Its own name first: of two at once one sees the other. On NFS, too, a look after a change goes to the server.
        put(fingerprint, id)
        const start = `${fingerprint}.`
        const same = readdirSync(among(fingerprint)).filter(name => name.startsWith(start))
        const gone = await abandonedOf(same, name => `${among(fingerprint)}/${name}`)
        const ids = gone.map(name => name.slice(start.length))
        earlier = [...new Set([...ids, ...namesIn(leftOf(fingerprint))])]
      } catch (error) {
        carrying.delete(id)
        throw error
      }
      const entry: Entry = {
        async leave() {
          carrying.delete(id)
          leave(link, fingerprint, id)
        },
        async forget() {
          // To another host we may have looked dead.
          if (!unlinkIfThere(link)) forgetLeft(fingerprint, id)
          carrying.delete(id)
        },
      }
      return { entry, earlier }
    },
    async has(fingerprint, id) {
      const carried = statIfThere(carriedAt(fingerprint, id))
      return (carried ?? statIfThere(leftAt(fingerprint, id))) !== undefined
    },
    async forget(fingerprint, id) {
      unlinkIfThere(carriedAt(fingerprint, id))
      forgetLeft(fingerprint, id)
    },
    async adopt() {
      for (const place of await readdir(folder)) {
        const former = FORMER.exec(place)
        if (former) {
          const [id = '', holds = ''] = (targetIfThere(`${folder}/${place}`) ?? '').split('@')
          const [, fingerprint = '', state] = former
          const link = `${folder}/${place}`
          if (id && (state === 'left' || (await isAbandoned(link, id, holds))))
            leave(link, fingerprint, id)
        } else if (place.length === 2) {
          const at = (name: string) => `${folder}/${place}/${name}`
          for (const name of await abandonedOf(await readdir(`${folder}/${place}`), at)) {
            const [fingerprint = '', id = ''] = name.split('.')
            leave(at(name), fingerprint, id)
          }
        }
      }
    },
    async expire(nowMs = Date.now()) {
      let removed = 0
      for (const fingerprint of namesIn(allLeft)) {
        // A folder is as old as what was last added to it.
        const stat = statIfThere(leftOf(fingerprint))
        if (!stat || nowMs - stat.mtimeMs <= REMEMBER_MS) continue
        for (const id of namesIn(leftOf(fingerprint)))
          if (unlinkIfThere(leftAt(fingerprint, id))) removed++
        removeIfEmpty(leftOf(fingerprint))
      }
      return removed
    },
  }
}
