// What engines of other processes and gateways have found clean, in Redis: sealed, short-lived, and never waited for long.
import { createHash } from 'node:crypto'
import type { SharedMemory } from '../../scanners/verdict-cache.ts'
import type { Config } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { connectRedis, PREFIX } from './redis.ts'
import type { Seal } from './seal.ts'

/** An answer later than that is not waited for: looking anew costs little more. */
const WAIT_MS = 5
/** Redis that was late once is not asked again for so long. */
const REST_MS = 1_000
/** Questions and entries on their way at once; beyond, nothing is known, and nothing kept. */
const UNDER_WAY = 200
/**
 * Entries one process adds in five minutes, at some 250 octets each: 2.5 MB. Redis evicts nothing (its jobs must stay),
 * so nothing but this bound and the entries' own end keeps a flood of attachments from filling it.
 */
const ENTRIES = 10_000
const WINDOW_MS = 300_000

const CLEAN = 'clean'
const PLACE = 'clean-place'

type Options = { redis: Config['redis']; seal: Seal; told: Events['knownCleanAsked'] }

/**
 * Whoever has the spool's key also takes the same scan jobs, so its verdicts are ours. Entries name what they are of,
 * and until when, under the seal: one that was planted, moved or kept for longer is not believed.
 */
export function createKnownClean({
  redis: setting,
  seal,
  told,
}: Options): SharedMemory & Disposable {
  const redis = connectRedis(setting, 'ask')
  let underWay = 0
  let restsUntil = 0
  let window = { until: 0, entries: 0 }

  /** Settles with undefined where there is no answer in time. */
  async function ask<T>(command: () => Promise<T>): Promise<T | undefined> {
    if (redis.status !== 'ready' || underWay >= UNDER_WAY || Date.now() < restsUntil)
      return undefined
    underWay++
    const answer = command().finally(() => underWay--)
    return inTime(answer).catch(() => {
      restsUntil = Date.now() + REST_MS
      return undefined
    })
  }

  /** Only for those who have the key: others can't tell which attachments were seen here. */
  const placeOf = (what: string): string =>
    `${PREFIX}:clean:${createHash('sha256').update(seal.close(PLACE, what)).digest('base64url')}`

  function isRoom(): boolean {
    if (Date.now() >= window.until) window = { until: Date.now() + WINDOW_MS, entries: 0 }
    return window.entries++ < ENTRIES
  }

  return {
    async leftMs(what) {
      const entry = await ask(() => redis.get(placeOf(what)))
      if (entry == null) {
        told({ result: entry === null ? 'unknown' : 'unanswered' })
        return 0
      }
      const [until = '', ...rest] = (seal.open(CLEAN, entry) ?? '').split(' ')
      const isOurs = rest.join(' ') === what
      const leftMs = isOurs ? Math.max(0, Number(until) - Date.now()) : 0
      told({ result: isOurs ? (leftMs > 0 ? 'known' : 'unknown') : 'forged' })
      return leftMs
    },
    keep(what, forMs) {
      if (!isRoom()) return
      const entry = seal.close(CLEAN, `${Date.now() + forMs} ${what}`)
      void ask(() => redis.set(placeOf(what), entry, 'PX', forMs))
    },
    [Symbol.dispose]: () => redis.disconnect(),
  }
}

/** Rejects after `WAIT_MS`, unless the answer has come meanwhile and only we were too busy to read it. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => setImmediate(() => reject(new Error('too late'))), WAIT_MS)
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    late.catch(() => undefined)
  }
}
