// Remembers what a directory said, for a while; what it could not say is never remembered.
import { LRUCache } from 'lru-cache'
import type { Directory, Lookup } from './directory.ts'

export type CacheSettings = {
  /** Milliseconds a recipient found is believed. */
  positiveTtl: number
  /** Milliseconds a recipient not found is believed. */
  negativeTtl: number
  /** Entries kept, half of them for recipients found, so that guessed addresses can't displace these. 0 keeps none. */
  cacheEntries: number
}

export const CACHE_LIMITS = {
  /** How long, while the directory is unavailable, a recipient once found still counts as existing. */
  staleMs: 86_400_000,
  /** Longer addresses are looked up each time (RFC 5321 §4.5.3.1 allows 64 + 1 + 255). */
  addressLength: 320,
}

/**
 * Puts a cache in front of a directory and owns it from then on. Equal lookups under way at once are one. While the
 * directory is unavailable, who was found within the last 24 hours still exists: an outage then delays mail only to
 * recipients that have had none for a day.
 */
export function withCache(
  directory: Directory,
  settings: CacheSettings,
  now: () => number = Date.now,
): Directory {
  const half = Math.floor(settings.cacheEntries / 2)
  const found = half > 0 ? new LRUCache<string, number>({ max: half }) : undefined
  const missing = half > 0 ? new LRUCache<string, number>({ max: half }) : undefined
  const asking = new Map<string, Promise<Lookup>>()

  const remembered = (key: string): Lookup | undefined => {
    if (now() - (found?.get(key) ?? -Infinity) < settings.positiveTtl) {
      return { existence: 'exists', cached: true }
    }
    if (now() - (missing?.get(key) ?? -Infinity) < settings.negativeTtl) {
      return { existence: 'unknown', cached: true }
    }
    return undefined
  }
  const ask = async (key: string, address: string): Promise<Lookup> => {
    const lookup = await directory.lookup(address)
    if (lookup.existence === 'unavailable') {
      const stale = now() - (found?.get(key) ?? -Infinity) < CACHE_LIMITS.staleMs
      return stale ? { ...lookup, existence: 'exists', cached: true } : lookup
    }
    const exists = lookup.existence === 'exists'
    if (key.length <= CACHE_LIMITS.addressLength) (exists ? found : missing)?.set(key, now())
    if (exists) missing?.delete(key)
    else found?.delete(key)
    return lookup
  }

  return {
    name: directory.name,
    lookup(address) {
      const key = address.toLowerCase()
      const known = remembered(key)
      if (known !== undefined) return Promise.resolve(known)
      const shared = asking.get(key) ?? ask(key, address).finally(() => asking.delete(key))
      asking.set(key, shared)
      return shared
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
