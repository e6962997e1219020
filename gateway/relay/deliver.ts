// Delivers one message to its next hops: transaction after transaction until each recipient has one outcome.
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import type { Content, Envelope, Recipient } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { RelayOutcome } from '../outcome.ts'
import type { Reply } from '../reply.ts'
import { type Attempted, attempt } from './attempt.ts'
import type { Replacement } from './cuts.ts'
import { ourFields } from './header.ts'
import { type ResolveMx, systemMx, type Target, targetsOf } from './next-hop.ts'
import { ownOutcome } from './outcomes.ts'
import { createPool, type Pool } from './pool.ts'
import { openSource, type Source } from './source.ts'
import { TIMEOUTS, type Timeouts } from './timeouts.ts'
import { failureReply, OWN } from './words.ts'

export type Order = {
  envelope: Envelope
  content: Content
  recipients: Recipient[]
  /** As in the configuration, tried in order. */
  nextHops: string[]
  /** `Name: value`, put on top below our `Received`. */
  fields: string[]
  /** What is sent in the place of parts of the content. */
  replacements?: readonly Replacement[]
  /** Asked right before the final dot of each transaction; false ends it without, and all that is open is deferred. */
  mayFinish(): Promise<boolean>
}

export type Destination = { nextHop: string; active: number; waiting: number; up: boolean }

export type Delivery = {
  /** Exactly one outcome for each distinct address. Never rejects. `signal` ends what is not past its final dot. */
  deliver(order: Order, signal?: AbortSignal): Promise<RelayOutcome[]>
  destinations(): Destination[]
} & AsyncDisposable

export type DeliveryOptions = {
  hostname: string
  /** Connections at once to one next hop. */
  concurrency: number
  /** PEM file of the authorities to trust instead of the system's; read at once, throws if it can't be. */
  caFile?: string
  events: Pick<Events, 'engineChanged' | 'fault'>
  timeouts?: Partial<Timeouts>
  /** For `mx:` next hops; the system's name servers where absent. */
  resolveMx?: ResolveMx
}

const TRANSACTIONS_PER_CONNECTION = 100
/** Next hops remembered; beyond it those without connections are forgotten. */
const MOST_POOLS = 256

export function createDelivery(options: DeliveryOptions): Delivery {
  const pools = createPools(options, { ...TIMEOUTS, ...options.timeouts })
  const resolveMx = options.resolveMx ?? systemMx()
  const { hostname, events } = options

  const run = async (order: Order, ledger: Ledger, signal?: AbortSignal) => {
    const { nextHops } = order
    const found = await targetsOf(nextHops, resolveMx)
    if (found.targets.length === 0) {
      const kind = { kind: 'resolve', detail: found.cause ?? '' } as const
      ledger.settleAll(found.permanent ? OWN.takesNone : failureReply(kind), found.cause)
      return
    }
    const fields = ourFields(order.envelope, hostname, ledger.open(), order.fields)
    let opened: Source
    try {
      opened = await openSource(order.content, fields, order.replacements)
    } catch (error) {
      events.fault({ where: 'relay', error, id: order.envelope.id })
      ledger.settleAll(OWN.content, String(error))
      return
    }
    await using source = opened
    for (const target of pools.restingLast(found.targets)) {
      if (ledger.open().length === 0 || signal?.aborted) break
      const pool = pools.of(target)
      const step = { ...order, source, target, pool, timeouts: pools.timeouts, signal }
      ledger.note(await attempt(step, ledger.open()))
    }
  }

  return {
    async deliver(order, signal) {
      const ledger = createLedger(order)
      try {
        await run(order, ledger, signal)
      } catch (error) {
        events.fault({ where: 'relay', error, id: order.envelope.id })
        // How far it came is unknown.
        ledger.settleAll({ ...OWN.content }, String(error), true)
      }
      return ledger.close()
    },
    destinations: pools.destinations,
    [Symbol.asyncDispose]: pools[Symbol.asyncDispose],
  }
}

type Ledger = {
  open(): string[]
  note(attempted: Attempted): void
  settleAll(reply: Reply, detail?: string, uncertain?: boolean): void
  /** All outcomes; what is still open is deferred with what was last heard of it. */
  close(): RelayOutcome[]
}

/** Keeps each recipient's outcome, one for each, in the order of arrival. */
function createLedger(order: Order): Ledger {
  const nextHop = order.nextHops.join()
  const settled: RelayOutcome[] = []
  const open = new Map<string, RelayOutcome>()
  for (const { address } of order.recipients) {
    open.set(address, ownOutcome(address, OWN.stopped, nextHop, 'not tried'))
  }
  const settle = (outcome: RelayOutcome) => {
    if (open.delete(outcome.recipient)) settled.push(outcome)
  }
  return {
    open: () => [...open.keys()],
    note(attempted) {
      for (const outcome of attempted.settled) settle(outcome)
      for (const outcome of attempted.open) open.set(outcome.recipient, outcome)
    },
    settleAll(reply, detail = '', uncertain = false) {
      for (const address of [...open.keys()]) {
        const outcome = ownOutcome(address, reply, nextHop, detail)
        settle(uncertain ? { ...outcome, uncertain } : outcome)
      }
    },
    close() {
      for (const outcome of [...open.values()]) settle(outcome)
      return settled
    },
  }
}

type Pools = {
  timeouts: Timeouts
  of(target: Target): Pool
  /** In the given order, but those that failed a moment ago after all others. */
  restingLast(targets: readonly Target[]): Target[]
  destinations(): Destination[]
} & AsyncDisposable

function createPools(options: DeliveryOptions, timeouts: Timeouts): Pools {
  const { hostname, concurrency, events } = options
  const pools = new Map<string, { target: Target; pool: Pool }>()
  const own = options.caFile === undefined ? undefined : [readFileSync(options.caFile, 'utf8')]
  let system: string[] | undefined
  const authorities = () => {
    system ??= [
      ...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')]),
    ]
    return own ?? system
  }
  const forgetUnused = () => {
    for (const [key, { pool }] of pools) {
      const { active, waiting, idle } = pool.state()
      if (active + waiting + idle === 0 && !pool.resting()) pools.delete(key)
    }
  }
  const create = (target: Target) =>
    createPool(target, {
      hostname,
      concurrency,
      timeouts,
      authorities,
      transactionsPerConnection: TRANSACTIONS_PER_CONNECTION,
      onChange: (up, cause) =>
        events.engineChanged({
          engine: 'next-hop',
          address: target.name,
          up,
          ...(cause === undefined ? {} : { cause }),
        }),
    })
  return {
    timeouts,
    of(target) {
      const known = pools.get(target.key)
      if (known) return known.pool
      if (pools.size >= MOST_POOLS) forgetUnused()
      const pool = create(target)
      pools.set(target.key, { target, pool })
      return pool
    },
    restingLast(targets) {
      const rests = (target: Target) => pools.get(target.key)?.pool.resting() === true
      return [...targets.filter(t => !rests(t)), ...targets.filter(rests)]
    },
    destinations: () =>
      [...pools.values()].map(({ target, pool }) => {
        const { active, waiting, up } = pool.state()
        return { nextHop: target.name, active, waiting, up }
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([...pools.values()].map(({ pool }) => pool[Symbol.asyncDispose]()))
    },
  }
}
