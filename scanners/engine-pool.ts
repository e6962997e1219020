// Chooses which of an engine's addresses takes the next scan: least busy first, those that failed lately last.
import type { EngineState } from './scanner.ts'

/** Scans that may wait for a free place, all addresses together; those beyond are told at once. */
const WAITING_LIMIT = 10_000

export type Engine = {
  readonly address: string
  /** Gives the place back. `failed` puts the address to rest; `unknown` says nothing of it. */
  release(result: 'answered' | 'failed' | 'unknown'): void
}

export type EnginePool = {
  /**
   * Waits for a free place at an address not in `except`. Where all of them rest, the one that has rested
   * longest is tried all the same: a lone engine must not be shunned after it is back.
   * Undefined when `signal` aborts first, when too many wait, or when every address is in `except` or not trusted;
   * `probing` asks those as well.
   */
  acquire(
    signal: AbortSignal,
    except?: ReadonlySet<string>,
    probing?: boolean,
  ): Promise<Engine | undefined>
  /** What a probe outside a scan found. Failing beside scans it says nothing: it may have waited behind them. */
  mark(address: string, up: boolean): void
  /** Whether it gets anything but probes; from the first call on, one found down must be proven again. */
  trust(address: string, passed: boolean): void
  /** A scan found it down, and what comes back may be another: where trust counts, it must be proven again. */
  doubt(address: string): void
  /** Whether any address is trusted. */
  isTrusted(): boolean
  states(): EngineState[]
}

type Place = {
  address: string
  busy: number
  up: boolean
  trusted: boolean
  restUntil: number
  lastUsed: number
}
type Waiter = { allows(place: Place): boolean; take(place: Place): void; giveUp(): void }

const NONE: ReadonlySet<string> = new Set()

export type EnginePoolLimits = {
  /** Scans at once per address. */
  concurrency: number
  /** A failed address is passed over for so long. */
  restMs: number
  /** Fewer scans at once, where an address itself says so; at least one. */
  atMost?(address: string): number
}

export function createEnginePool(
  addresses: readonly string[],
  { concurrency, restMs, atMost }: EnginePoolLimits,
): EnginePool {
  const places: Place[] = [...new Set(addresses)].map(address => ({
    address,
    busy: 0,
    up: true,
    trusted: true,
    restUntil: 0,
    lastUsed: 0,
  }))
  const waiting = new Set<Waiter>()
  let uses = 0
  let mustProve = false

  const choose = (allows: Waiter['allows']): Place | undefined => {
    const now = Date.now()
    const allowed = places.filter(allows)
    const awake = allowed.filter(place => place.restUntil <= now)
    const room = ({ address }: Place) =>
      Math.max(1, Math.min(concurrency, atMost?.(address) ?? concurrency))
    const free = (awake.length > 0 ? awake : allowed).filter(place => place.busy < room(place))
    const rest = (place: Place) => (awake.length > 0 ? 0 : place.restUntil)
    free.sort((a, b) => rest(a) - rest(b) || a.busy - b.busy || a.lastUsed - b.lastUsed)
    return free[0]
  }

  const mark = (place: Place, up: boolean): void => {
    place.up = up
    place.restUntil = up ? 0 : Date.now() + restMs
  }

  const serveWaiting = (): void => {
    for (const waiter of waiting) {
      const place = choose(waiter.allows)
      if (place) waiter.take(place)
    }
  }

  /** Whoever waits for nobody else is told at once. */
  const distrust = (place: Place): void => {
    place.trusted = false
    for (const waiter of waiting) if (!places.some(waiter.allows)) waiter.giveUp()
  }

  const occupy = (place: Place): Engine => {
    place.busy++
    place.lastUsed = ++uses
    let held = true
    return {
      address: place.address,
      release(result) {
        if (!held) return
        held = false
        place.busy--
        if (result !== 'unknown') mark(place, result === 'answered')
        serveWaiting()
      },
    }
  }

  return {
    acquire(signal, except = NONE, probing = false) {
      const allows = (place: Place) => !except.has(place.address) && (probing || place.trusted)
      if (signal.aborted || !places.some(allows)) return Promise.resolve(undefined)
      const place = choose(allows)
      if (place) return Promise.resolve(occupy(place))
      if (waiting.size >= WAITING_LIMIT) return Promise.resolve(undefined)
      return new Promise(resolve => {
        const leave = (engine: Engine | undefined): void => {
          waiting.delete(waiter)
          signal.removeEventListener('abort', giveUp)
          resolve(engine)
        }
        const giveUp = (): void => leave(undefined)
        const waiter: Waiter = { allows, giveUp, take: found => leave(occupy(found)) }
        waiting.add(waiter)
        signal.addEventListener('abort', giveUp, { once: true })
      })
    },
    mark(address, up) {
      const place = places.find(each => each.address === address)
      if (!place || (!up && place.busy > 0)) return
      mark(place, up)
      if (!up && mustProve) distrust(place)
    },
    trust(address, passed) {
      mustProve = true
      const place = places.find(each => each.address === address)
      if (place && !passed) distrust(place)
      if (!place || !passed || place.trusted) return
      place.trusted = true
      serveWaiting()
    },
    doubt(address) {
      const place = places.find(each => each.address === address)
      if (place && mustProve) distrust(place)
    },
    isTrusted: () => places.some(place => place.trusted),
    states: () => places.map(({ address, up, trusted }) => ({ address, up: up && trusted })),
  }
}
