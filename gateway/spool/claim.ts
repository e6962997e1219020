// The claim on a message: whoever holds it may do what can't be undone; nobody else may.
//
// A claim is a symbolic link `<id>.claim` whose target says who holds it: made in one step, or not at all. A claim whose
// holder is known dead is broken by making `<id>.claim.<token of the dead>`, again in one step, so that of two breakers one
// wins; the chain from the head decides. A token is a process's, until a claim with it was broken: from then on it has
// another, so that what a crash leaves of a chain misleads nobody.
import { lutimes } from 'node:fs/promises'
import { inTheEnd, linkIfFree, statIfThere, targetIfThere, unlinkIfThere } from './disk.ts'
import type { Holder } from './holder.ts'
import { liveness, readIdentity } from './identity.ts'

/** A holder on another host that has not renewed its claim for this long counts as dead. */
const SILENCE_MS = 60_000
const RENEW_MS = 15_000
/** Processes that died one after the other while they had a message: it is to blame, and gets no more of them. */
const LONGEST_CHAIN = 50
/** The holder in a link that stands for a process known to have died with the message before it took a claim. */
const UNCLAIMED = 'dead'
/** A message in flight at so many deaths is tried alone, in a process of its own. */
export const SUSPECT_DEATHS = 2

export type Claim = {
  /** Whether it still is ours: to be asked right before what can't be undone. */
  stillHeld(): Promise<boolean>
  /** How many died before us while they had the message. */
  deaths: number
  /** Its holder is through with the message and lives: whoever died with it before was not killed by it. */
  release(): Promise<void>
  /** Gives the claim up in the middle of the work: who died before us stays known. */
  pass(): Promise<void>
}

export type Claims = {
  /** The claim, or undefined where somebody alive has it. */
  take(id: string): Promise<Claim | undefined>
  /** Whether somebody alive holds it. */
  held(id: string): Promise<boolean>
  /** Somebody died with the message before taking a claim; nothing where deaths are known already, or it is held. */
  blame(id: string): Promise<void>
  /** How many died one after the other while they had it. */
  deaths(id: string): Promise<number>
  /** Whether nobody gets it any more, since so many died that had it. */
  deadly(id: string): Promise<boolean>
} & Disposable

/** Claims lie in `incoming`, beside content and log. */
export function createClaims(incoming: string, holder: Holder): Claims {
  /** What we have, by the message; until its link is gone. */
  const mine = new Map<string, { link: string }>()

  const headOf = (id: string) => `${incoming}/${id}.claim`
  // The token is the part of the target that also names the next link of the chain.
  const nextOf = (id: string, target: string) =>
    `${headOf(id)}.${target.slice(target.lastIndexOf('@') + 1)}`

  async function isDead(link: string, target: string): Promise<boolean> {
    const name = target.slice(0, target.lastIndexOf('@'))
    if (name === UNCLAIMED) return true
    const who = readIdentity(name)
    if (who) {
      const state = await liveness(who, holder.own)
      if (state !== 'unknown') return state === 'dead'
    }
    const stat = statIfThere(link)
    return stat !== undefined && Date.now() - stat.mtimeMs > SILENCE_MS
  }

  /** The links from the head to the last one made. */
  function chainOf(id: string): { link: string; target: string }[] {
    const chain: { link: string; target: string }[] = []
    let link = headOf(id)
    while (chain.length < LONGEST_CHAIN) {
      const target = statIfThere(link) && targetIfThere(link)
      if (target === undefined) break
      chain.push({ link, target })
      link = nextOf(id, target)
    }
    return chain
  }

  // By its place too: everything of ours looks the same.
  const isLast = (id: string, link: string, target: string) => {
    // Mostly nobody died before.
    if (link === headOf(id))
      return targetIfThere(link) === target && statIfThere(nextOf(id, target)) === undefined
    const last = chainOf(id).at(-1)
    return last?.link === link && last.target === target
  }

  function claimAt(id: string, link: string, target: string, deaths: number): Claim {
    const entry = { link }
    mine.set(id, entry)
    const isOurs = () => mine.get(id) === entry && isLast(id, link, target)
    let given = false
    const give = async (unlink: () => void) => {
      if (given) return
      given = true
      // One that could not be given up would look held for as long as we live.
      await inTheEnd(async () => {
        if (isOurs()) unlink()
        else holder.retire()
        if (mine.get(id) === entry) mine.delete(id)
      })
    }
    return {
      deaths,
      stillHeld: async () => isOurs(),
      release: () =>
        give(() => {
          // The head goes first: without it the rest of the chain means nothing to anybody.
          for (const part of deaths === 0 ? [entry] : chainOf(id)) unlinkIfThere(part.link)
        }),
      pass: () => give(() => unlinkIfThere(link)),
    }
  }

  async function take(id: string): Promise<Claim | undefined> {
    const chain = chainOf(id)
    const last = chain.at(-1)
    if (last && (chain.length >= LONGEST_CHAIN || !(await isDead(last.link, last.target))))
      return undefined
    const link = last ? nextOf(id, last.target) : headOf(id)
    // One that was taken from us, or that something hangs from: whoever read it then must not take this one for it.
    const usable = (one: string) => !mine.has(id) && statIfThere(nextOf(id, one)) === undefined
    const target = holder.put(link, { usable, mayBeThere: !mine.has(id) })
    if (target === undefined) return undefined
    if (last && !isLast(id, link, target)) {
      // The chain we had read was released meanwhile: our link hangs from nothing.
      unlinkIfThere(link)
      return undefined
    }
    return claimAt(id, link, target, chain.length)
  }

  const timer = setInterval(() => {
    const now = new Date()
    for (const { link } of mine.values()) lutimes(link, now, now).catch(() => undefined)
    holder.renew()
  }, RENEW_MS)
  timer.unref()

  return {
    take,
    async held(id) {
      const last = chainOf(id).at(-1)
      return last !== undefined && !(await isDead(last.link, last.target))
    },
    async blame(id) {
      linkIfFree(holder.newTarget(UNCLAIMED), headOf(id))
    },
    async deaths(id) {
      const chain = chainOf(id)
      const last = chain.at(-1)
      if (!last) return 0
      return (await isDead(last.link, last.target)) ? chain.length : chain.length - 1
    },
    deadly: async id => chainOf(id).length >= LONGEST_CHAIN,
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
