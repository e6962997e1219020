// Carries one message while its client waits: asks for the journey, listens, and concludes from the outcome log.
import type { Envelope } from '../message.ts'
import type { Standing } from '../spool/standing.ts'
import { standingOf } from '../spool/standing.ts'
import { createBell } from './bell.ts'
import {
  type Carried,
  type Conclusion,
  DELIVERED,
  forgotten,
  type Holding,
  NOT_NOW,
} from './conclusion.ts'
import { intoCustody, refuseIfFree, refuseNow } from './let-go.ts'

/** The client's own patience is ten minutes (RFC 5321 §4.5.3.2.6); where custody fails we hold on almost that long. */
const LONGEST_HOLD_MS = 540_000
/** A lost hint is made up for by looking at the log this often. */
const LOOK_MS = 1000
/** Custody that failed (disk full, say) is tried again after this. */
const CUSTODY_RETRY_MS = 5000
/** How soon a claim that a worker is about to release is asked for again. */
const CLAIM_RETRY_MS = 25

export async function carry(
  options: Holding,
  what: { envelope: Envelope; partly: boolean },
  gone: AbortSignal,
): Promise<Conclusion> {
  const bell = createBell()
  const carried: Carried = {
    options,
    ...what,
    gone,
    bell,
    hint: undefined,
    startedAt: performance.now(),
  }
  const deaf = options.hints.listen(what.envelope.id, hint => {
    carried.hint = hint.kind === 'reject' && what.partly ? { ...hint, kind: 'hold' } : hint
    bell.ring()
  })
  const unheard = options.onEnd(gone, bell.ring)
  const unstopped = options.onEnd(options.stopping, bell.ring)
  if (gone.aborted || options.stopping.aborted) bell.ring()
  try {
    return await ask(carried)
  } finally {
    deaf()
    unheard()
    unstopped()
  }
}

async function ask(carried: Carried): Promise<Conclusion> {
  const { options, envelope } = carried
  const holdMs = options.config().hold.seconds * 1000
  if (holdMs === 0) {
    const kept = await intoCustody(carried, 'no-hold')
    if (!kept) return refuseNow(carried, NOT_NOW)
    // Redis may be away: the sweep adds the job then.
    await options.queue.scan({ envelope, attempt: 1 }).catch(() => undefined)
    return kept
  }
  try {
    await options.queue.scan({
      envelope,
      attempt: 1,
      replyTo: options.hints.address,
      deadline: Date.now() + LONGEST_HOLD_MS,
    })
  } catch (error) {
    options.events.warned({ name: 'queue-unreachable', text: String(error) })
    // It may have been added after all: then a worker has it, or had it, and is waited for.
    const refused = await refuseIfFree(carried, NOT_NOW)
    if (refused) return refused
    carried.bell.ring()
  }
  return waitForOutcome(carried, carried.startedAt + holdMs)
}

async function waitForOutcome(carried: Carried, holdUntil: number): Promise<Conclusion> {
  const { options, envelope, gone, bell, startedAt } = carried
  let custodyAt = holdUntil
  let look = LOOK_MS
  for (;;) {
    // Nothing can have happened to a message that was just asked for, unless it rang.
    await bell.wait(Math.min(look, Math.max(0, custodyAt - performance.now())))
    if (gone.aborted) return clientLost(carried)
    const config = options.config()
    const log = await options.spool.log(envelope.id)
    const found = standingOf(envelope, log, d => config.domains[d]?.deferred === 'tempfail')
    const standing: Standing =
      found.kind === 'refused' && carried.partly ? { kind: 'custody' } : found
    const concluded = (await conclude(carried, standing)) ?? (await heed(carried))
    if (concluded) return concluded
    const now = performance.now()
    if (options.stopping.aborted) custodyAt = Math.min(custodyAt, holdUntil, now)
    if (now >= custodyAt || carried.hint?.kind === 'hold' || standing.kind === 'custody') {
      const reason = now >= holdUntil ? 'hold-time' : (carried.hint?.kind ?? 'deferred')
      const kept = await intoCustody(carried, reason)
      if (kept) return kept
      carried.hint = undefined
      custodyAt = now + CUSTODY_RETRY_MS
      if (now - startedAt > LONGEST_HOLD_MS - CUSTODY_RETRY_MS) return refuseNow(carried, NOT_NOW)
    }
    const busy = standing.kind === 'tempfail' || carried.hint !== undefined
    look = busy ? CLAIM_RETRY_MS : LOOK_MS
  }
}

/** What the log alone decides. */
async function conclude(carried: Carried, standing: Standing): Promise<Conclusion | undefined> {
  const { options, envelope } = carried
  const { id } = envelope
  if (standing.kind === 'done') {
    const recipients = envelope.recipients.length
    options.events.acknowledgedHeld({ id, recipients, ends: standing.ends })
    return {
      reply: DELIVERED,
      memory: 'until-heard',
      heard: () => options.spool.removeHeld(id),
      unheard: () => options.spool.removeContent(id),
    }
  }
  if (standing.kind === 'refused') {
    await options.spool.removeHeld(id)
    return forgotten(standing.reply)
  }
  if (standing.kind === 'tempfail') return refuseIfFree(carried, standing.reply)
  return undefined
}

/** What a hint says: nothing was done, and this is the answer. Only with the claim is that sure. */
async function heed(carried: Carried): Promise<Conclusion | undefined> {
  const { hint } = carried
  if (hint?.kind === 'settled') carried.hint = undefined
  if (hint?.kind !== 'tempfail' && hint?.kind !== 'reject') return undefined
  const answer = await refuseIfFree(carried, hint.reply ?? NOT_NOW)
  // Somebody else carries it on: the hint is out of date.
  if (!answer) carried.hint = undefined
  return answer
}

async function clientLost(carried: Carried): Promise<Conclusion> {
  const concluded = await refuseNow(carried, NOT_NOW)
  const state = concluded.memory === 'forget' ? 'dropped' : 'left'
  carried.options.events.clientGone({ id: carried.envelope.id, state })
  return concluded
}
