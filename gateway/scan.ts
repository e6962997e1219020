// One scan job: asks all scanners, lets the policies decide, hands on. Does nothing that can't be undone.
import type { Decision } from '../policies/policy.ts'
import type { Report } from '../scanners/scanner.ts'
import type { Envelope, Message, Recipient } from './message.ts'
import type { Events } from './observe/events.ts'
import type { Hints } from './queue/hints.ts'
import type { Hint, Plan, RelayJob, ScanJob } from './queue/jobs.ts'
import { type Reply, reply } from './reply.ts'
import type { ScanRoom } from './scan-room.ts'
import { type Claim, SUSPECT_DEATHS } from './spool/claim.ts'
import type { Spool } from './spool/spool.ts'

export type ScanOptions = {
  spool: Spool
  hints: Pick<Hints, 'tell' | 'tellSweep'>
  events: Events
  /** Asks every scanner; never rejects. */
  ask(message: Message): Promise<Report[]>
  decide(reports: readonly Report[], envelope: Envelope, recipient: Recipient): Decision
  room: ScanRoom
  /** The relay's part begins: in this process, or through its queue. */
  handOn(job: RelayJob): Promise<void>
  /** Takes up what two processes died of: only in a process of its own. */
  alone?: boolean
}

type Decided = { recipient: Recipient; decision: Decision }

const TRY_AGAIN = reply(451, '4.7.1', 'Cannot scan this message now, try again later')
const REFUSED = reply(550, '5.7.1', 'Message refused')

export function createScan(options: ScanOptions): (job: ScanJob, again?: boolean) => Promise<void> {
  const { spool, hints } = options
  return async (job, again = false) => {
    const { id, sizeBytes } = job.envelope
    // Before anything is looked at: meanwhile its client may have gone, or its message come into custody.
    using place = await options.room.enter(sizeBytes)
    if (!place) return
    const held = job.replyTo !== undefined && !(await spool.inCustody(id))
    if (held && Date.now() > (job.deadline ?? 0)) return
    // Awaited here: its place is given back when this returns.
    if (held && !again) return await scan(options, job, held, place)
    // From here on deaths are counted: a claim that its holder took to the grave is one.
    if (again) await spool.claims.blame(id)
    const claim = await spool.claims.take(id)
    if (!claim) return
    try {
      if (claim.deaths < SUSPECT_DEATHS || options.alone)
        return await scan(options, job, held, place, claim)
    } finally {
      await claim.pass()
    }
    if (held && job.replyTo !== undefined) hints.tell(job.replyTo, { id, kind: 'hold' })
    else hints.tellSweep(id)
  }
}

async function scan(
  options: ScanOptions,
  job: ScanJob,
  held: boolean,
  place: Disposable,
  claim?: Claim,
): Promise<void> {
  const { spool, events } = options
  const { envelope } = job
  const content = await spool.content(envelope.id)
  // Answered or dropped meanwhile: nobody waits for this any more.
  if (!content) return
  const reports = await options.ask({ envelope, content })
  // A slow next hop must not keep others from being scanned.
  place[Symbol.dispose]()
  for (const report of reports) events.scanned({ id: envelope.id, report })
  const decided = envelope.recipients.map(recipient => ({
    recipient,
    decision: options.decide(reports, envelope, recipient),
  }))
  tellDecisions(events, envelope.id, decided)
  // Nobody listens any more once it has come into custody: then the relay carries out what was decided.
  const waits = held && !(await spool.inCustody(envelope.id))
  const hint = waits ? hintOf(envelope.id, decided) : undefined
  await claim?.pass()
  if (hint && job.replyTo !== undefined) options.hints.tell(job.replyTo, hint)
  else await options.handOn({ ...job, plan: planOf(reports, decided) })
}

function tellDecisions(events: Events, id: string, decided: readonly Decided[]): void {
  for (const { recipient, decision } of decided) {
    const { disposition, policy, reason } = decision
    events.decided({ id, recipient: recipient.address, disposition, policy, reason })
  }
  const unscanned = decided.find(d => d.decision.unscanned)?.decision
  if (unscanned?.unscanned)
    events.matrixActivated({ id, ...unscanned.unscanned, cause: unscanned.reason })
}

/** What the waiting session is told where nothing is to be relayed, quarantined or discarded now. */
function hintOf(id: string, decided: readonly Decided[]): Hint | undefined {
  const said = (d: Decided | undefined, otherwise: Reply) => d?.decision.reply ?? otherwise
  if (decided.every(d => d.decision.disposition === 'reject'))
    return { id, kind: 'reject', reply: said(decided[0], REFUSED) }
  const deferred = decided.filter(d => d.decision.disposition === 'defer')
  if (deferred.length === 0) return undefined
  const asksClient = deferred.find(d => d.decision.custody !== true)
  return asksClient
    ? { id, kind: 'tempfail', reply: said(asksClient, TRY_AGAIN) }
    : { id, kind: 'hold' }
}

function planOf(reports: readonly Report[], decided: readonly Decided[]): Plan {
  const found = reports.map(report => report.authentication).filter(a => a !== undefined)
  return {
    recipients: decided.map(({ recipient, decision }) => ({
      recipient: recipient.address,
      disposition: decision.disposition,
      policy: decision.policy,
      reason: decision.reason,
      ...(decision.fields ? { fields: decision.fields } : {}),
      ...(decision.cuts ? { cuts: decision.cuts } : {}),
    })),
    scanners: reports.map(report => report.scanner),
    unscanned: decided.some(({ decision }) => decision.unscanned !== undefined),
    ...(found.length === 0
      ? {}
      : { authentication: { spf: found.some(a => a.spf), dkim: found.some(a => a.dkim) } }),
  }
}
