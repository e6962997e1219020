// Remembers which leaves an engine called clean, so that an attachment sent to many is looked at once.
import { LRUCache } from 'lru-cache'

/** Leaves remembered. */
const ENTRIES = 10_000
/** Milliseconds: no version number tells of signatures of an administrator's own, so none is trusted for long. */
export const KEPT_MS = 300_000
/** Octets; smaller leaves cost less to look at than to remember. */
const LEAST_BYTES = 1_024
/** Octets. So many cost 5 ms of CPU with clamd; asking others and telling them 0.3: worth it from one repeated in 16. */
const LEAST_SHARED_BYTES = 65_536

/** What others have found clean, for whoever looks with the same signatures. Never rejects, never takes long. */
export type SharedMemory = {
  /** Milliseconds for which `what` may still be believed; 0 where nobody is known to have found it clean. */
  leftMs(what: string): Promise<number>
  /** Neither waits nor promises. */
  keep(what: string, forMs: number): void
}

export type VerdictCache = {
  isClean(leaf: Seen): boolean
  /** Asks others as well; only worth it for a leaf that would be looked at alone. */
  isKnownClean(leaf: Seen): Promise<boolean>
  /** Taken before the engine is asked: what was found with signatures since replaced is not kept. */
  keeper(): (leaf: Seen) => void
  /**
   * What the engine says of itself and its signatures; another answer than before empties the cache. `shared` is the
   * same for everyone who would find the same; where absent, nothing is shared.
   */
  versionIs(version: string, shared?: string): void
  /** The engine was wrong about a canary: what it found is forgotten, and nothing shared until its next version. */
  distrust(): void
}

type Seen = { sha256: string; octets: { sizeBytes: number } }

/** `engine`: what kind it is; verdicts of another kind are never its own. */
export function createVerdictCache(engine: string, others?: SharedMemory): VerdictCache {
  const clean = new LRUCache<string, true>({ max: ENTRIES, ttl: KEPT_MS })
  let known: string | undefined
  let inCommon: string | undefined
  /** Since when something is shared: what others found before, they may have found with an engine that we distrust. */
  let sharedSince = 0
  /** Counts what empties it: a version that comes back is not the one before. */
  let epoch = 0
  const nameOf = ({ sha256, octets }: Seen): string | undefined =>
    inCommon === undefined || octets.sizeBytes < LEAST_SHARED_BYTES
      ? undefined
      : `${engine} ${inCommon} ${sha256}`
  const isClean = ({ sha256 }: Seen) => clean.get(sha256) === true
  function become(version: string | undefined, shared: string | undefined): void {
    epoch++
    clean.clear()
    if (inCommon === undefined) sharedSince = Date.now()
    known = version
    inCommon = shared
  }
  return {
    isClean,
    async isKnownClean(leaf) {
      if (isClean(leaf)) return true
      const name = nameOf(leaf)
      if (!others || name === undefined) return false
      const asked = epoch
      const leftMs = Math.min(await others.leftMs(name), KEPT_MS)
      const foundAt = Date.now() + leftMs - KEPT_MS
      if (leftMs <= 0 || foundAt < sharedSince || asked !== epoch) return false
      // Never longer than for the one who looked.
      clean.set(leaf.sha256, true, { ttl: leftMs })
      return true
    },
    keeper() {
      const taken = epoch
      return leaf => {
        if (taken !== epoch || leaf.octets.sizeBytes < LEAST_BYTES) return
        clean.set(leaf.sha256, true)
        const name = nameOf(leaf)
        if (name !== undefined) others?.keep(name, KEPT_MS)
      }
    },
    versionIs(version, shared) {
      if (version !== known || shared !== inCommon) become(version, shared)
    },
    distrust: () => become(undefined, undefined),
  }
}
