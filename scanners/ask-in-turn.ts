// Asks one address of an engine after the other before one deadline, until a verdict comes that the next can't better.
import { type Deadline, deadlineOf } from './deadline.ts'
import type { Engine, EnginePool } from './engine-pool.ts'
import type { Probe, Verdict } from './scanner.ts'

/** Addresses one content may be tried at, counting a second try at the same one. */
const MOST_ATTEMPTS = 3

export type Turn = {
  /** To be released by whoever takes the turn. */
  engine: Engine
  /** Ends this try: a hung engine must leave time for the next one. */
  cut: AbortSignal
  /** Whether another address is left. */
  others: boolean
  /** Lets the same address have another turn. */
  again(): void
}

export type TurnOptions = {
  pool: EnginePool
  addresses: readonly string[]
  deadline: Deadline
  /** Goes to the address it names and to no other. */
  probe: Probe | undefined
  /** What is said where no place was free in time, and where no address is trusted. */
  causes: { free: string; trusted: string }
}

/** The last verdict; `failed` where none was asked: `down` if nobody is trusted, else `slow`. */
export async function askInTurn(
  { pool, addresses, deadline, probe, causes }: TurnOptions,
  ask: (turn: Turn) => Promise<Verdict>,
): Promise<Verdict> {
  const only = probe?.address
  const all = new Set(addresses)
  const tried = new Set(addresses.filter(each => only !== undefined && each !== only))
  let verdict: Verdict | undefined
  for (let attempts = 0; attempts < MOST_ATTEMPTS; attempts++) {
    const engine = await pool.acquire(deadline.signal, tried, only !== undefined)
    if (!engine) break
    tried.add(engine.address)
    const others = tried.size < all.size
    using part = others
      ? deadlineOf(Math.ceil(deadline.remainingMs() / 2), deadline.signal)
      : undefined
    const cut = part?.signal ?? deadline.signal
    verdict = await ask({ engine, cut, others, again: () => void tried.delete(engine.address) })
    if (verdict.kind !== 'failed' || verdict.failure === 'limit') break
  }
  if (verdict) return verdict
  return pool.isTrusted() || only !== undefined
    ? { kind: 'failed', failure: 'slow', cause: causes.free }
    : { kind: 'failed', failure: 'down', cause: causes.trusted }
}
