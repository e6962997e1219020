// Looks through the spool for work that is due and that nobody does, and clears away what nobody needs (I4).
import { requiredScanners } from '../config/domain-settings.ts'
import type { Config } from '../config/schema.ts'
import type { Envelope } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Hints } from '../queue/hints.ts'
import { heard } from '../queue/jobs.ts'
import type { WorkQueue } from '../queue/queue.ts'
import { SUSPECT_DEATHS } from './claim.ts'
import { statIfThere, unlinkIfThere } from './disk.ts'
import type { LogState } from './outcome-log.ts'
import type { Spool } from './spool.ts'
import { REMEMBER_MS } from './unanswered.ts'

/** The whole spool is looked through this often. */
const SWEEP_MS = 60_000
/** What is due between two sweeps is added this promptly. */
const TICK_MS = 500
/** A message just taken into custody still has its first job: it is given this long to be seen in the queue. */
const FIRST_JOB_MS = 2000
/** A message that somebody has claimed, or that Redis would not take, is looked at again after this. */
const AGAIN_MS = 5000
/** Messages looked at in one tick. */
const LOOKS_PER_TICK = 500
/** Clocks of several gateways on one spool differ by less. */
const SKEW_MS = 60_000
/** Files in `incoming/` that belong to nothing are left alone for this long. */
const ORPHAN_MS = 3_600_000

export type SweepOptions = {
  config: () => Pick<Config, 'scanners'>
  spool: Spool
  queue: Pick<WorkQueue, 'scan' | 'relay' | 'underWay'>
  hints: Pick<Hints, 'listenAsSweep'>
  events: Pick<Events, 'sweepDone' | 'orphanRemoved' | 'fault'>
  /** Has a message tried in a process of its own, since two died that had it; to be told as often as one likes. */
  tryAlone(id: string): void
}

export type Sweep = {
  /** One whole look through the spool. */
  sweep(): Promise<void>
} & AsyncDisposable

/** Sweeps at once, then every minute, and hears in between what comes into custody. */
export function createSweep(options: SweepOptions): Sweep {
  const { spool, events } = options
  /** When each message in custody is next to be looked at, and when it came there. */
  const looks = new Map<string, { at: number; since: number }>()
  let added = 0
  let sweptAt = 0
  let stopped = false
  let busy = Promise.resolve()

  async function look(id: string, modifiedAt: number): Promise<void> {
    // A time to come is one of before the clock was set back.
    const since = Math.min(modifiedAt, Date.now())
    const envelope = await spool.envelope(id)
    if (!envelope) {
      looks.delete(id)
      return
    }
    const log = await spool.log(id)
    const dueAt = dueTime(envelope, log, since)
    const now = Date.now()
    const suspect = (await spool.claims.deaths(id)) >= SUSPECT_DEATHS
    looks.set(id, { at: dueAt > now && !suspect ? dueAt : now + AGAIN_MS, since })
    if (dueAt > now && !suspect) return
    if (await spool.claims.held(id)) return
    if (await spool.claims.deadly(id)) {
      await spool.setAside(id, 'too many processes died while they worked on it')
      return
    }
    if (suspect) return options.tryAlone(id)
    const job = { envelope, attempt: log.attempt }
    // Its first job has written nothing yet: as long as there is one, another would only scan it again.
    if (log.sizeBytes === 0 && (await options.queue.underWay(job))) return
    const adding =
      nextStop(envelope, log, options.config()) === 'scan'
        ? options.queue.scan(job)
        : options.queue.relay({ ...job, plan: log.plan ?? { recipients: [] } })
    const taken = await adding.then(
      () => true,
      () => false,
    )
    if (!taken) return // Redis away: it tells so itself
    added++
    looks.set(id, { at: now + SWEEP_MS, since })
  }

  async function sweep(): Promise<void> {
    const startedAt = Date.now()
    added = 0
    // The clock was set back: what is to be looked at when is known from the spool alone.
    if (startedAt < sweptAt) looks.clear()
    sweptAt = startedAt
    const queued = await spool.queued()
    const known = new Set(queued.map(q => q.id))
    for (const id of looks.keys()) if (!known.has(id)) looks.delete(id)
    for (const { id, modifiedAt } of queued) {
      if (stopped) return
      const next = looks.get(id)
      if (next === undefined || next.at <= startedAt)
        await lookSafely(id, next?.since ?? modifiedAt)
    }
    await spool.unanswered.adopt()
    await spool.unanswered.expire()
    await clear(options, known)
    events.sweepDone({ queued: queued.length, added, durationMs: Date.now() - startedAt })
  }

  /** One message that can't be looked at must not keep the others from being. */
  async function lookSafely(id: string, since: number): Promise<void> {
    try {
      await look(id, since)
    } catch (error) {
      looks.set(id, { at: Date.now() + SWEEP_MS, since })
      events.fault({ where: 'sweep', error, id })
    }
  }

  async function tick(): Promise<void> {
    const now = Date.now()
    let count = 0
    for (const [id, { at, since }] of looks) {
      if (stopped) return
      if (at > now || ++count > LOOKS_PER_TICK) continue
      await lookSafely(id, since)
    }
  }

  /** One thing at a time; a fault in one does not stop the next. */
  const inTurn = (where: string, work: () => Promise<void>): Promise<void> => {
    busy = busy.then(work).catch(error => events.fault({ where, error }))
    return busy
  }

  options.hints.listenAsSweep(id => {
    // The claim of whoever told us is about to go.
    const now = Date.now()
    looks.set(id, { at: now + 50, since: looks.get(id)?.since ?? now })
  })
  inTurn('sweep', sweep)
  const sweeping = setInterval(() => inTurn('sweep', sweep), SWEEP_MS)
  const ticking = setInterval(() => inTurn('sweep', tick), TICK_MS)
  return {
    sweep: () => inTurn('sweep', sweep),
    async [Symbol.asyncDispose]() {
      stopped = true
      clearInterval(sweeping)
      clearInterval(ticking)
      await busy
    },
  }
}

/** Where a message in custody goes on: to the scanners, unless all of them were heard, or nobody waits for them. */
export function nextStop(
  envelope: Envelope,
  log: LogState,
  config: Pick<Config, 'scanners'>,
): 'scan' | 'relay' {
  const decided = log.plan && heard(log.plan, requiredScanners(config))
  const open = envelope.recipients.some(r => !log.ends.has(r.address))
  return envelope.kind === 'mail' && open && !decided ? 'scan' : 'relay'
}

/**
 * Milliseconds since the epoch. With nothing in its log, a message's first job is most likely still under way. What was
 * deferred at a time to come was so before the clock was set back, and is due.
 */
function dueTime(envelope: Envelope, log: LogState, since: number): number {
  if (log.sizeBytes === 0) return envelope.kind === 'mail' ? since + FIRST_JOB_MS : 0
  const deferred = [...log.deferred.values()]
  const ahead = deferred.some(line => line.at > Date.now() + SKEW_MS)
  return deferred.length > 0 && !ahead ? log.dueAt : 0
}

/** Removes what is in `incoming/` without envelope, unclaimed and old. */
async function clear({ spool, events }: SweepOptions, known: ReadonlySet<string>): Promise<void> {
  const now = Date.now()
  for (const name of await spool.incoming()) {
    const id = name.split('.')[0] ?? ''
    if (known.has(id)) continue
    const path = spool.incomingPath(name)
    const file = statIfThere(path)
    const ageMs = file ? now - file.mtimeMs : 0
    // The log of a message whose client never heard is what its retry finds.
    if (ageMs < (name.endsWith('.log') ? REMEMBER_MS : ORPHAN_MS)) continue
    if ((await spool.inCustody(id)) || (await spool.claims.held(id))) continue
    if (unlinkIfThere(path)) events.orphanRemoved({ file: name, ageMs })
  }
}
