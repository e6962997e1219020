// The two ways in which a session lets go of a message it holds: refusing it with the claim in hand, or taking custody.
import type { Reply } from '../reply.ts'
import { nextAttempt } from '../spool/retry.ts'
import type { Spool } from '../spool/spool.ts'
import { settledIn } from '../spool/standing.ts'
import { type Carried, type Conclusion, forgotten, KEPT } from './conclusion.ts'

/** Answers 4xx or 5xx and forgets the message, if nothing was done and nobody can do anything any more. */
export async function refuseIfFree(carried: Carried, said: Reply): Promise<Conclusion | undefined> {
  const dropped = await dropUntouched(carried.options.spool, carried.envelope.id)
  return dropped ? forgotten(said) : undefined
}

/** Removes a message that nobody has acted upon, taken out of everybody's hands first; says whether it could. */
export async function dropUntouched(spool: Spool, id: string): Promise<boolean> {
  const claim = await spool.claims.take(id)
  if (!claim) return false
  let dropped = false
  try {
    // That the claim is free now may mean that a worker is through with it, since the log was last looked at.
    if ((await spool.inCustody(id)) || settledIn(await spool.log(id)).length > 0) return false
    await spool.removeHeld(id)
    dropped = true
    return true
  } finally {
    await (dropped ? claim.release() : claim.pass())
  }
}

/** As `refuseIfFree`; where a worker has or had the message the client's retry will find what it did. */
export async function refuseNow(carried: Carried, said: Reply): Promise<Conclusion> {
  const answer = await refuseIfFree(carried, said)
  return answer ?? { reply: said, memory: 'remember' }
}

/** Takes custody, and answers 250; undefined where the disk would not have it. */
export async function intoCustody(
  carried: Carried,
  reason: string,
): Promise<Conclusion | undefined> {
  const { options, envelope } = carried
  const { id } = envelope
  const startedAt = Date.now()
  try {
    await options.spool.takeCustody(envelope)
  } catch (error) {
    options.events.warned({ name: 'custody-failed', text: `${id}: ${(error as Error).message}` })
    return undefined
  }
  const durationMs = Date.now() - startedAt
  if (reason === 'hold') await scheduleScan(carried)
  options.events.custodyTaken({ id, recipients: envelope.recipients.length, reason, durationMs })
  // The log may have grown meanwhile: the sweep looks, and ends what has ended.
  options.hints.tellSweep(id)
  return { reply: KEPT, memory: 'until-heard' }
}

/** The scan that brought no verdict is over: without a time for the next, the sweep would take it for still running. */
async function scheduleScan({ options, envelope }: Carried): Promise<void> {
  const { spool, events } = options
  const claim = await spool.claims.take(envelope.id)
  if (!claim) return
  try {
    const at = Date.now()
    const next = nextAttempt(1, options.config().retry, at)
    const cause = 'no verdict yet'
    const lines = envelope.recipients.map(
      ({ address }) =>
        ({ kind: 'deferred', at, recipient: address, ...next, detail: cause }) as const,
    )
    await spool.append(envelope.id, lines)
    events.retryScheduled({ id: envelope.id, recipients: lines.length, ...next, cause })
  } catch (error) {
    // It is in custody all the same: the sweep gives the first job its time, and then scans again.
    events.fault({ where: 'hold', error, id: envelope.id })
  } finally {
    await claim.pass()
  }
}
