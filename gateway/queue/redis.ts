// Connections to Redis, made one way for queue, workers and hints; Redis is a to-do list, never the record (I4).
import { Redis, type RedisOptions } from 'ioredis'
import type { Config } from '../config/schema.ts'

/** All our keys and channels begin with it; the braces keep them on one node of a Redis Cluster. */
export const PREFIX = '{sallyport}'

/** Longest wait between attempts to reach Redis again. */
const LONGEST_RECONNECT_MS = 1000

export type Purpose =
  /** Commands fail at once while Redis is away, instead of waiting in memory and running late. */
  | 'ask'
  /** Blocking reads and subscriptions: wait for Redis for ever. */
  | 'wait'

type RedisSetting = Config['redis']
/** Replies stay as ioredis maps them by default. */
type Where = Omit<RedisOptions, 'replyMapping'>

/** Opens a connection; `changed` hears of every change between reachable and not. */
export function connectRedis(
  setting: RedisSetting,
  purpose: Purpose,
  changed: (up: boolean, cause?: string) => void = () => undefined,
): Redis {
  const options: Where = {
    ...whereIs(setting),
    maxRetriesPerRequest: null,
    enableOfflineQueue: purpose === 'wait',
    connectTimeout: 5000,
    retryStrategy: times => Math.min(25 * 2 ** times, LONGEST_RECONNECT_MS),
  }
  const redis = new Redis(options)
  let cause: string | undefined
  redis.on('ready', () => changed(true))
  redis.on('error', error => {
    cause = error.message
  })
  redis.on('close', () => changed(false, cause))
  return redis
}

/** `redis://`, `rediss://`, `unix:/path` or sentinels, as ioredis wants it. */
export function whereIs(setting: RedisSetting): Where {
  if (typeof setting !== 'string') {
    const sentinels = setting.sentinels.map(address => {
      const [host = address, port] = address.split(/:(?=\d+$)/)
      return { host, port: Number(port ?? 26379) }
    })
    return {
      sentinels,
      name: setting.name,
      ...(setting.password === undefined ? {} : { password: setting.password }),
    }
  }
  if (setting.startsWith('unix:')) return { path: setting.slice('unix:'.length) }
  const url = new URL(setting)
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    ...(url.username ? { username: decodeURIComponent(url.username) } : {}),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
    ...(url.pathname.length > 1 ? { db: Number(url.pathname.slice(1)) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

/** Resolves once the connection is ready; rejects after `timeoutMs`. */
export async function whenReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      redis.off('ready', ready)
      reject(new Error(`no answer from Redis within ${timeoutMs} ms`))
    }, timeoutMs)
    const ready = () => {
      clearTimeout(timer)
      resolve()
    }
    redis.once('ready', ready)
  })
}
