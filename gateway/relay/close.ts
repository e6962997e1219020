// Settles recipients; the last look at a message in custody tells senders of what failed for good, and ends it when all has.
import type { Recipient } from '../message.ts'
import type { Ends } from '../observe/events.ts'
import type { LogLine, LogState } from '../spool/outcome-log.ts'
import { isExpired } from '../spool/retry.ts'
import { endsOf } from '../spool/standing.ts'
import type { Failed } from './notify.ts'
import type { Run } from './relay.ts'
import { writeDown } from './write-down.ts'

/** Only for the holder of the claim. */
export async function closeCustody(run: Run): Promise<void> {
  const { options, envelope, content } = run
  const { spool } = options
  const log = await spool.log(envelope.id)
  const failed = failedOf(run, log)
  if (failed.length > 0) {
    const { authentication } = log.plan ?? run.plan
    const lines = await options.notify({ envelope, content, failed, authentication })
    await writeDown(run, lines)
  }
  const ends = endsOf(envelope, await spool.log(envelope.id))
  if (!isAll(run, ends)) options.hints.tellSweep(envelope.id)
  else await end(run, ends, await mayComeAgain(run))
}

/** Writes down what became of recipients, unless that ends custody at once. */
export async function settle(run: Run, lines: readonly LogLine[]): Promise<void> {
  if (!(await endAtOnce(run, lines))) await writeDown(run, lines)
}

/**
 * Where nothing is left to do, and nobody will ask, the last outcomes need not be written: that the envelope is gone says
 * as much, and is as durable.
 */
async function endAtOnce(run: Run, lines: readonly LogLine[]): Promise<boolean> {
  const { envelope, custody, log } = run
  if (!custody) return false
  const all = new Map(log.ends)
  for (const line of lines) if (line.kind === 'end') all.set(line.recipient, line)
  const ends = endsOf(envelope, { ends: all })
  if (!isAll(run, ends) || (await mayComeAgain(run))) return false
  return end(run, ends, false).then(
    () => true,
    () => false,
  )
}

const isAll = ({ envelope }: Run, { relayed, quarantined, discarded, notified }: Ends): boolean =>
  relayed + quarantined + discarded + notified >= envelope.recipients.length

/** A client that never heard our 250 does: the log then still knows whom we served. */
const mayComeAgain = ({ options, envelope }: Run): Promise<boolean> =>
  options.spool.unanswered.has(envelope.fingerprint, envelope.id)

async function end({ options, envelope }: Run, ends: Ends, keepLog: boolean): Promise<void> {
  const { id, recipients } = envelope
  options.events.custodyEnded({ id, recipients: recipients.length, ends })
  await options.spool.endCustody(id, keepLog)
}

function failedOf(run: Run, log: LogState): Failed[] {
  const { envelope, options } = run
  const expired = isExpired(envelope.receivedAt, options.config().retry, Date.now())
  const failed: Failed[] = []
  const add = (recipient: Recipient, line: Omit<Failed, 'recipient' | 'expired'>, late: boolean) =>
    failed.push({
      recipient,
      expired: late,
      ...(line.reply ? { reply: line.reply } : {}),
      ...(line.nextHop === undefined ? {} : { nextHop: line.nextHop }),
      ...(line.detail === undefined ? {} : { detail: line.detail }),
    })
  for (const recipient of envelope.recipients) {
    const end = log.ends.get(recipient.address)
    const deferred = log.deferred.get(recipient.address)
    if (end?.end === 'refused') add(recipient, end, false)
    else if (deferred && expired) add(recipient, deferred, true)
  }
  return failed
}
