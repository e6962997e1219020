// Remembers which leaves an engine called clean, so that an attachment sent to many is looked at once.
import { LRUCache } from 'lru-cache'

/** Leaves remembered. */
const ENTRIES = 10_000
/** Milliseconds: no version number tells of signatures of an administrator's own, so none is trusted for long. */
const KEPT_MS = 300_000
/** Octets; smaller leaves cost less to look at than to remember. */
const LEAST_BYTES = 1_024

export type VerdictCache = {
  isClean(leaf: Seen): boolean
  keep(leaf: Seen): void
  /** What the engine says of itself and its signatures; another answer than before empties the cache. */
  versionIs(version: string): void
}

type Seen = { sha256: string; octets: { sizeBytes: number } }

/** For a canary: what is known of it already proves nothing. */
export const REMEMBERS_NOTHING: VerdictCache = {
  isClean: () => false,
  keep: () => undefined,
  versionIs: () => undefined,
}

export function createVerdictCache(): VerdictCache {
  const clean = new LRUCache<string, true>({ max: ENTRIES, ttl: KEPT_MS })
  let known: string | undefined
  return {
    isClean: ({ sha256 }) => clean.get(sha256) === true,
    keep({ sha256, octets }) {
      if (octets.sizeBytes >= LEAST_BYTES) clean.set(sha256, true)
    },
    versionIs(version) {
      if (version !== known) clean.clear()
      known = version
    },
  }
}
