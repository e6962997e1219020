// The symbolic link that says who a process is: what it claims and carries are further names of it, without an inode each.
import { randomBytes } from 'node:crypto'
import { linkSync, lutimesSync, readdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { linkIfFree, statIfThere, targetIfThere, unlinkIfThere } from './disk.ts'
import { type Identity, writeIdentity } from './identity.ts'

/** It is renewed in time by whoever renews the claims, unless the process was stopped or very busy. */
const LATE_MS = 30_000
/** What was not renewed for this long belonged to a process that died. A living one whose link is removed makes another. */
const LEFT_BEHIND_MS = 3_600_000
/** The file system takes no second name of a file or symbolic link, or not from us. */
export const NO_SECOND_NAME = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL']
/** It has as many names as the file system allows (ext4: 65,000), or somebody removed it. */
const NOT_THIS = ['EMLINK', 'ENOENT']

export type Wish = {
  /** Whether a claim may point at this. */
  usable(target: string): boolean
  /** Whether a claim of ours that is there already is the one asked for. */
  mayBeThere: boolean
}

export type Holder = {
  own: Identity
  /** Makes a claim in one step; what it points at, or undefined where somebody has that name. */
  put(claim: string, wish: Wish): string | undefined
  /** A target that nothing else points at. */
  newTarget(who: string): string
  /** Shows that we live. */
  renew(): void
  /** The next claim points elsewhere than those so far. */
  retire(): void
} & Disposable

type Link = { file: string; target: string; renewedAt: number }

export function createHolder(folder: string, own: Identity): Holder {
  const identity = writeIdentity(own)
  const run = randomBytes(8).toString('hex')
  let link: Link | undefined
  let made = 0
  let never = false

  const newTarget = (who: string) => `${who}@${run}-${(++made).toString(36)}`

  function begin(): Link {
    if (made === 0) removeLeftBehind(folder)
    const target = newTarget(identity)
    const file = path.join(folder, target.slice(target.lastIndexOf('@') + 1))
    symlinkSync(target, file)
    return { file, target, renewedAt: Date.now() }
  }

  /** Its other names stay. */
  function retire(): void {
    const file = link?.file
    link = undefined
    try {
      if (file !== undefined) unlinkIfThere(file)
    } catch {
      // What can't be removed now is left behind.
    }
  }

  function renew(): void {
    if (!link) return
    const now = new Date()
    try {
      lutimesSync(link.file, now, now)
      link.renewedAt = now.getTime()
    } catch {
      // Whatever it is, the next claim must not look as if we had been silent.
      link = undefined
    }
  }

  /** Undefined where there can be none now: a claim has to stand alone then. */
  function current(usable: Wish['usable']): Link | undefined {
    // To others a new claim is as old as this.
    if (link && Math.abs(Date.now() - link.renewedAt) > LATE_MS) renew()
    if (link && !usable(link.target)) retire()
    try {
      link ??= begin()
    } catch {
      return undefined
    }
    return link
  }

  function putAlone(claim: string): string | undefined {
    const target = newTarget(identity)
    return linkIfFree(target, claim) ? target : undefined
  }

  return {
    own,
    put(claim, { usable, mayBeThere }) {
      for (let again = false; !never; again = true) {
        const one = current(usable)
        if (!one) break
        const { file, target } = one
        try {
          linkSync(file, claim)
          return target
        } catch (error) {
          const code = (error as NodeJS.ErrnoException).code ?? ''
          // An answer lost on the network (NFS) makes the second try of the same link find the first.
          if (code === 'EEXIST')
            return mayBeThere && targetIfThere(claim) === target ? target : undefined
          if (NO_SECOND_NAME.includes(code)) never = true
          else if (again || !NOT_THIS.includes(code)) throw error
          retire()
        }
      }
      return putAlone(claim)
    },
    newTarget,
    renew,
    retire,
    [Symbol.dispose]: retire,
  }
}

function removeLeftBehind(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name)
    const stat = statIfThere(file)
    if (stat && Date.now() - stat.mtimeMs > LEFT_BEHIND_MS) unlinkIfThere(file)
  }
}
