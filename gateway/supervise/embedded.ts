// Starts the servers that the configuration wants embedded, and writes their addresses into it.
import path from 'node:path'
import { clamavSettings } from '../../scanners/clamav/clamav.ts'
import type { Config } from '../config/schema.ts'
import { createEmbeddedClamd } from '../embedded/clamd.ts'
import { createEmbeddedRedis } from '../embedded/redis.ts'
import type { Events } from '../observe/events.ts'

export type Embedded = {
  /** The configuration with addresses in place of `embedded`; also for one read again later. */
  apply(config: Config): Config
  /** What a configuration read again later wants embedded, that was not started; undefined where nothing is missing. */
  missing(config: Config): string | undefined
} & AsyncDisposable

/** Undefined where `stop` came before they had started. */
export async function startEmbedded(
  config: Config,
  events: Events,
  user: string | undefined,
  stop: AbortSignal,
): Promise<Embedded | undefined> {
  const stack = new AsyncDisposableStack()
  const below = (name: string) => path.join(config.state, 'embedded', name)
  try {
    const redis =
      config.redis === 'embedded'
        ? stack.use(await createEmbeddedRedis({ folder: below('redis'), events, user, stop }))
        : undefined
    const clamd =
      config.scanners.clamav === 'embedded'
        ? stack.use(
            await createEmbeddedClamd({
              folder: below('clamav'),
              maxMessageSizeBytes: config.maxMessageSize,
              events,
              user,
              stop,
            }),
          )
        : undefined
    return {
      apply: written => ({
        ...written,
        redis: written.redis === 'embedded' && redis ? redis.url : written.redis,
        scanners: {
          ...written.scanners,
          ...(written.scanners.clamav === 'embedded' && clamd
            ? { clamav: clamavSettings.parse({ addresses: [clamd.address] }) }
            : {}),
        },
      }),
      missing({ redis: queue, scanners }) {
        if (queue === 'embedded' && !redis) return 'redis'
        return scanners.clamav === 'embedded' && !clamd ? 'scanners.clamav' : undefined
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    if (stop.aborted) return undefined
    throw error
  }
}
