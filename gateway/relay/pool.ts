// The connections to one next hop: how many at once, which are kept open, and whether it answers at all.
import {
  type Connection,
  type ConnectionOptions,
  type Failure,
  openConnection,
} from './connection.ts'
import type { Target } from './next-hop.ts'

export type PoolOptions = ConnectionOptions & {
  /** Connections at once. */
  concurrency: number
  /** Transactions after which a connection is ended. */
  transactionsPerConnection: number
  /** Told on change; a next hop counts as up until it fails. */
  onChange(up: boolean, cause?: string): void
}

export type Pool = {
  /** Waits in order of arrival for a free place. `fresh` never takes a used connection. Never rejects. */
  acquire(fresh: boolean, signal?: AbortSignal): Promise<Connection | Failure>
  /** Exactly once for each connection acquired. `keep` where it can carry another transaction. */
  release(connection: Connection, keep: boolean): void
  /** It failed a moment ago: try others first. */
  resting(): boolean
  state(): { active: number; waiting: number; idle: number; up: boolean }
} & AsyncDisposable

export function createPool(target: Target, options: PoolOptions): Pool {
  const { timeouts } = options
  const idle = new Map<Connection, NodeJS.Timeout>()
  const inUse = new Set<Connection>()
  const waiting: Waiting = new Set()
  const closing = new AbortController()
  let active = 0
  let up = true
  let restUntil = 0

  const changed = (now: boolean, cause?: string) => {
    restUntil = now ? 0 : Date.now() + timeouts.restMs
    if (up !== now) options.onChange(now, cause)
    up = now
  }
  /** A place that becomes free goes to who waits longest, without ever being free in between. */
  const free = () => {
    const [next] = waiting
    if (next) next()
    else active--
  }
  /**
   * Where no connection works, the answer to one is the answer to all: each waiting for its own, one dead next hop would
   * take the jobs of all others.
   */
  const failed = (failure: Failure) => {
    if (failure.kind !== 'aborted' && inUse.size + idle.size === 0)
      for (const turn of [...waiting]) turn(failure)
    free()
  }
  const unpark = (connection: Connection) => {
    clearTimeout(idle.get(connection))
    idle.delete(connection)
  }
  const park = (connection: Connection) => {
    const timer = setTimeout(() => {
      unpark(connection)
      connection.quit()
    }, timeouts.idleMs)
    idle.set(connection, timer)
  }
  /** The one used last: the others may then grow old and go. */
  const parked = (): Connection | undefined => {
    const connection = [...idle.keys()].at(-1)
    if (connection) unpark(connection)
    return connection?.alive() === false ? parked() : connection
  }

  const open = async (signal: AbortSignal): Promise<Connection | Failure> => {
    const opened = await openConnection(target, options, signal)
    if ('kind' in opened) {
      if (opened.kind !== 'aborted') changed(false, opened.detail)
    } else {
      changed(true)
      opened.onEnd(() => unpark(opened))
    }
    return opened
  }

  return {
    async acquire(fresh, signal) {
      const either = () => (signal ? AbortSignal.any([signal, closing.signal]) : closing.signal)
      if (active < options.concurrency) active++
      else {
        const refused = await placeIn(waiting, timeouts.waitMs, either())
        if (refused) return refused
      }
      const kept = fresh ? undefined : parked()
      // The oldest idle one makes room, so that idle and active ones together keep to the limit.
      const [oldest] = idle.keys()
      if (kept === undefined && oldest && idle.size + active > options.concurrency) {
        unpark(oldest)
        oldest.quit()
      }
      const connection = kept ?? (await open(either()))
      if ('kind' in connection) failed(connection)
      else inUse.add(connection)
      return connection
    },
    release(connection, keep) {
      if (!inUse.delete(connection)) return
      const room = connection.transactions < options.transactionsPerConnection
      if (keep && room && connection.alive() && !closing.signal.aborted) park(connection)
      else connection.quit()
      free()
    },
    resting: () => Date.now() < restUntil,
    state: () => ({ active, waiting: waiting.size, idle: idle.size, up }),
    async [Symbol.asyncDispose]() {
      closing.abort()
      for (const connection of [...idle.keys()]) {
        unpark(connection)
        connection.quit()
      }
      for (const connection of inUse) connection.close()
    },
  }
}

/** Those who wait for a place, first come first served; each is called once, with a failure where there is none to wait for. */
type Waiting = Set<(failure?: Failure) => void>

/** Resolves with nothing once it is this one's turn. */
function placeIn(
  waiting: Waiting,
  waitMs: number,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  if (signal.aborted) return Promise.resolve({ kind: 'aborted', detail: 'interrupted' })
  return new Promise(resolve => {
    const end = (failure?: Failure) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      waiting.delete(turn)
      resolve(failure)
    }
    const turn = (failure?: Failure) => end(failure)
    const abort = () => end({ kind: 'aborted', detail: 'interrupted' })
    const timer = setTimeout(
      () => end({ kind: 'busy', detail: `no free connection within ${waitMs} ms` }),
      waitMs,
    )
    signal.addEventListener('abort', abort)
    waiting.add(turn)
  })
}
