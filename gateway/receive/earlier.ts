// Finds what became of a client's earlier try of the same message, so that a retry makes no second copy (I3).
import { setTimeout as sleep } from 'node:timers/promises'
import type { Envelope } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Spool } from '../spool/spool.ts'
import { settledIn } from '../spool/standing.ts'

/** How often an earlier try that a worker still carries is looked at. */
const LOOK_MS = 250

export type Earlier = {
  /** Recipients that an earlier try has settled, or that are in our custody through it. */
  covered: ReadonlySet<string>
  /** An earlier try is still being relayed: nothing may be done for this one yet. */
  underWay: boolean
  /** The client knows now: nothing of the earlier tries needs remembering. */
  forget(): Promise<void>
}

/** Looks at each earlier try; waits for one that is under way, `patienceMs` at most or until the client is gone. */
export async function lookEarlier(
  spool: Spool,
  events: Events,
  envelope: Envelope,
  ids: readonly string[],
  patienceMs: number,
  gone: AbortSignal,
): Promise<Earlier> {
  const covered = new Set<string>()
  const until = Date.now() + patienceMs
  let underWay = false
  for (const id of ids) {
    const recipients = await settle(spool, id, until, gone)
    if (!recipients) underWay = true
    for (const recipient of recipients ?? []) covered.add(recipient)
    const ours = envelope.recipients.filter(r => recipients?.includes(r.address)).length
    if (ours > 0) events.retryRecognised({ id: envelope.id, earlier: id, recipients: ours })
  }
  return {
    covered,
    underWay,
    async forget() {
      for (const id of ids) {
        await spool.unanswered.forget(envelope.fingerprint, id)
        if (!(await spool.inCustody(id))) await spool.removeHeld(id)
      }
    },
  }
}

/** Whom an earlier try covers, after making sure that it does nothing more; undefined while it is under way. */
async function settle(
  spool: Spool,
  id: string,
  until: number,
  gone: AbortSignal,
): Promise<string[] | undefined> {
  for (;;) {
    const kept = await spool.envelope(id)
    // Without content it is no mail that will arrive, whatever its envelope says: the sweep sets it aside.
    if (kept && (await spool.content(id))) {
      // Whoever took custody may have been killed before it was known to be on disk.
      await spool.confirmCustody()
      return kept.recipients.map(r => r.address)
    }
    const claim = await spool.claims.take(id)
    if (claim) {
      try {
        // Without its content, a job of it that is still in the queue ends where it begins.
        if (!(await spool.inCustody(id))) await spool.removeContent(id)
        return settledIn(await spool.log(id))
      } finally {
        await claim.release()
      }
    }
    if (Date.now() >= until || gone.aborted) return undefined
    await sleep(LOOK_MS)
  }
}
