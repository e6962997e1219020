// Frees the jobs of workers known dead at once: BullMQ would wait until their locks have run out.
import type { Redis } from 'ioredis'
import {
  type Identity,
  liveness,
  ownIdentity,
  readIdentity,
  writeIdentity,
} from '../spool/identity.ts'
import type { QueueName } from './queue.ts'
import { PREFIX } from './redis.ts'

/** How soon a death is seen. */
const LOOK_MS = 1000
/** Whom nobody can ask (of another host, gone with its container) and who was silent for so long is forgotten. */
const FORGET_MS = 3_600_000

/**
 * A lock's value begins with the id of the worker that took it. A job without lock that is in `stalled` is given to
 * another at the next check, and counted as taken up again; the claim keeps the spool right whoever has it.
 */
const FREE = `
for _, job in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local lock = ARGV[2] .. job .. ':lock'
  local token = redis.call('GET', lock)
  if token and string.sub(token, 1, #ARGV[1]) == ARGV[1] then
    redis.call('DEL', lock)
    redis.call('SADD', KEYS[2], job)
  end
end
return redis.call('HDEL', KEYS[3], ARGV[1])`

export type RetakeOptions = {
  /** Waits while Redis is away. */
  redis: Redis
  queue: QueueName
  /** BullMQ's name for this worker. */
  worker: string
  own?: Identity
}

export function createRetake({
  redis,
  queue,
  worker,
  own = ownIdentity(),
}: RetakeOptions): Disposable {
  const prefix = `${PREFIX}:${queue}:`
  const workers = `${prefix}workers`
  const keys = [`${prefix}active`, `${prefix}stalled`, workers]
  let busy = false

  async function look(): Promise<void> {
    const now = Date.now()
    // Each time anew: Redis may have come back empty.
    await redis.hset(workers, worker, `${writeIdentity(own)}@${now}`)
    for (const [other, text] of Object.entries(await redis.hgetall(workers))) {
      const [name = '', seenAt] = text.split('@')
      const who = readIdentity(name)
      const state = who ? await liveness(who, own) : 'unknown'
      if (state === 'dead') await redis.eval(FREE, keys.length, ...keys, other, prefix)
      else if (state === 'unknown' && !(now - Number(seenAt) < FORGET_MS))
        await redis.hdel(workers, other)
    }
  }

  const timer = setInterval(async () => {
    if (busy) return
    busy = true
    // A Redis that is away or full is told of elsewhere; locks run out by themselves.
    await look().catch(() => undefined)
    busy = false
  }, LOOK_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
