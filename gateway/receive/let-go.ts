// The two ways in which a session lets go of a message it holds: refusing it with the claim in hand, or taking custody.
import type { Reply } from '../reply.ts'
import { nextAttempt } from '../spool/retry.ts'
import { type Carried, type Conclusion, forgotten, KEPT } from './conclusion.ts'

/** Answers 4xx or 5xx and forgets the message, if nobody else can act on it any more. */
export async function refuseIfFree(carried: Carried, said: Reply): Promise<Conclusion | undefined> {
  const { spool } = carried.options
  const claim = await spool.claims.take(carried.envelope.id)
  if (!claim) return undefined
  try {
    await spool.removeHeld(carried.envelope.id)
  } finally {
    await claim.release()
  }
  return forgotten(said)
}

/** As `refuseIfFree`; where a worker has the message the client's retry will find what it did. */
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
    await claim.release()
  }
}
