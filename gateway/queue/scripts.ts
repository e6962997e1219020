// BullMQ's three scripts of every job's way, without what no job of ours has: events, delays, priorities, parents, limits.
import type { Redis } from 'ioredis'

/**
 * Whose scripts these stand in for: another version finds none under its name, and loads its own. Keys, fields and
 * replies are the same, so gateways with either, and every other script of BullMQ, work on the same queues.
 */
const BULLMQ = '6.7.0'

/** KEYS: wait, paused, meta, id, completed, delayed, active, events, marker. ARGV: what it is, data, options. */
const ADD = `
local job = cmsgpack.unpack(ARGV[1])
local id = job[2]
local key = job[1] .. id
if redis.call('EXISTS', key) == 1 then return id end
redis.call('HSET', key, 'name', job[3], 'data', ARGV[2], 'opts', cjson.encode(cmsgpack.unpack(ARGV[3])),
  'timestamp', job[4], 'delay', 0, 'priority', 0)
redis.call('LPUSH', KEYS[1], id)
redis.call('ZADD', KEYS[9], 0, '0')
return id`

/** The marker wakes who waits: set again only where there is more to take. */
const TAKE = `
local function take(wait, active, marker, prefix, now, token, lockMs)
  local id = redis.call('RPOPLPUSH', wait, active)
  if not id then return nil end
  local key = prefix .. id
  redis.call('SET', key .. ':lock', token, 'PX', lockMs)
  redis.call('HSET', key, 'processedOn', now)
  redis.call('HINCRBY', key, 'ats', 1)
  if redis.call('EXISTS', wait) == 1 then redis.call('ZADD', marker, 0, '0') end
  return {redis.call('HGETALL', key), id, 0, 0}
end
`

/** KEYS: wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, marker. ARGV: prefix, now, options. */
const MOVE_TO_ACTIVE = `${TAKE}
local options = cmsgpack.unpack(ARGV[3])
return take(KEYS[1], KEYS[2], KEYS[11], ARGV[1], ARGV[2], options.token, options.lockDuration) or {0, 0, 0, 0}`

/**
 * KEYS: wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, completed or failed, job,
 * metrics, marker. ARGV: id, now, property, value, target, fetch next, prefix, options, fields. A job that ended is
 * removed, however it ended. -1: there is no such job; -2: its lock is gone; -3: it is not active; -6: not ours.
 */
const MOVE_TO_FINISHED = `${TAKE}
local options = cmsgpack.unpack(ARGV[8])
local lock = KEYS[12] .. ':lock'
local token = redis.call('GET', lock)
if token ~= options.token then
  if redis.call('EXISTS', KEYS[12]) == 0 then return -1 end
  return token and -6 or -2
end
if redis.call('DEL', KEYS[12], lock) == 1 then return -1 end
redis.call('SREM', KEYS[5], ARGV[1])
if redis.call('LREM', KEYS[2], -1, ARGV[1]) == 0 then return -3 end
if ARGV[6] ~= '1' then return 0 end
return take(KEYS[1], KEYS[2], KEYS[14], ARGV[7], ARGV[2], options.token, options.lockDuration) or 0`

/** To be called before BullMQ gets the connection. */
export function defineScripts(redis: Redis): void {
  const scripts = [
    ['addStandardJob', 9, ADD],
    ['moveToActive', 11, MOVE_TO_ACTIVE],
    ['moveToFinished', 14, MOVE_TO_FINISHED],
  ] as const
  for (const [name, numberOfKeys, lua] of scripts)
    redis.defineCommand(`${name}:${BULLMQ}`, { numberOfKeys, lua })
}
