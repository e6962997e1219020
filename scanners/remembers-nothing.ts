// The verdict cache of whoever must look anew: for a canary, what is known of it already proves nothing.
import type { VerdictCache } from './verdict-cache.ts'

export const REMEMBERS_NOTHING: VerdictCache = {
  isClean: () => false,
  isKnownClean: async () => false,
  keeper: () => () => undefined,
  versionIs: () => undefined,
  distrust: () => undefined,
}
