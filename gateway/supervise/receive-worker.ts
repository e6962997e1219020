// A receive worker put together: sessions, directories, the held dot. It starts no programs and parses no MIME (I8).
import { createDirectories } from '../../policies/directory/registry.ts'
import { createHints } from '../queue/hints.ts'
import { createQueue } from '../queue/queue.ts'
import { createSeal } from '../queue/seal.ts'
import { createHold } from '../receive/hold.ts'
import { createReceive } from '../receive/server.ts'
import { type Reply, reply } from '../reply.ts'
import { ownIdentity, writeIdentity } from '../spool/identity.ts'
import { createSpool } from '../spool/spool.ts'
import type { Observed } from './instance.ts'
import type { Start } from './messages.ts'
import type { Work } from './worker.ts'

const SPACE_LOOK_MS = 1000
/** A message in flight when the gateway stops has this long to be finished before it comes into custody. */
const FINISH_MS = 3000

const FULL = reply(452, '4.3.1', 'Insufficient system storage')
const NO_QUEUE = reply(451, '4.3.0', 'Cannot process mail now, try again later')

export async function startReceiving(start: Start, { events }: Observed): Promise<Work> {
  let { config } = start
  const identity = ownIdentity()
  const spool = await createSpool({
    folder: config.spool,
    identity,
    corrupted: (file, cause) => events.spoolCorrupt({ file, cause }),
  })
  // Clients of a worker that died may come back at once: they must find what became of their mail. A spool that takes
  // nothing now keeps nobody from starting: until it does, what they look for lies where it lay.
  await spool.unanswered.adopt().catch(error => events.fault({ where: 'adopt', error }))
  const seal = await createSeal(config.spool)
  const queue = await createQueue(config.redis, seal, (up, cause) =>
    events.engineChanged({ engine: 'redis', address: 'queue', up, ...(cause ? { cause } : {}) }),
  )
  const hints = createHints(config.redis, writeIdentity(identity), seal)
  const stopping = new AbortController()
  const hold = createHold({
    ...{ spool, queue, hints, events },
    config: () => config,
    stopping: stopping.signal,
  })
  let directories = await createDirectories(config.directory, events.engineChanged)
  const space = watchSpace(spool.freeBytes, () => config.limits.spoolFree)
  const unready = (): Reply | undefined => {
    if (space.short()) return FULL
    return queue.reachable() ? undefined : NO_QUEUE
  }
  const receive = await createReceive({
    ...{ config, events, store: spool, directories, checks: [], hold, unready },
  })

  return {
    reasons: () => [
      ...(space.short() ? ['the spool is short of space'] : []),
      ...(queue.reachable() ? [] : ['Redis is not reachable']),
      ...(receive.busy() ? ['as many messages are held as may be'] : []),
    ],
    async reload(next) {
      const fresh = await createDirectories(next.directory, events.engineChanged)
      try {
        await receive.reload(next, fresh)
      } catch (error) {
        await disposeAll(fresh.values())
        throw error
      }
      config = next
      const old = directories
      directories = fresh
      await disposeAll(old.values())
    },
    async stop(graceMs) {
      const timer = setTimeout(() => stopping.abort(), Math.min(FINISH_MS, graceMs / 2))
      await receive.stop(graceMs)
      clearTimeout(timer)
      space[Symbol.dispose]()
      await disposeAll(directories.values())
      hints[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
      spool[Symbol.dispose]()
    },
  }
}

async function disposeAll(all: Iterable<AsyncDisposable>): Promise<void> {
  await Promise.allSettled([...all].map(one => one[Symbol.asyncDispose]()))
}

function watchSpace(
  freeBytes: () => Promise<number>,
  needed: () => number,
): { short(): boolean } & Disposable {
  let free = Number.POSITIVE_INFINITY
  const look = () => {
    freeBytes().then(
      found => {
        free = found
      },
      () => {
        free = 0
      },
    )
  }
  look()
  const timer = setInterval(look, SPACE_LOOK_MS)
  return {
    short: () => free < needed(),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
