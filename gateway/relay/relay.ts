// One relay job: takes the claim, carries out the plan for each recipient, writes down what became of it.
import type { Cut } from '../../policies/policy.ts'
import { requiredScanners } from '../config/domain-settings.ts'
import type { Config } from '../config/schema.ts'
import type { Content, Envelope, Recipient } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Quarantine } from '../quarantine/quarantine.ts'
import type { Hints } from '../queue/hints.ts'
import { heard, type Plan, type Planned, type RelayJob } from '../queue/jobs.ts'
import { type Claim, SUSPECT_DEATHS } from '../spool/claim.ts'
import { type LogLine, type LogState, relayLine } from '../spool/outcome-log.ts'
import { isExpired, nextAttempt } from '../spool/retry.ts'
import type { Spool } from '../spool/spool.ts'
import { closeCustody, settle } from './close.ts'
import type { Delivery } from './deliver.ts'
import type { Notify } from './notify.ts'
import { keepWhole } from './strip.ts'
import { writeDown } from './write-down.ts'

export type RelayOptions = {
  config: () => Config
  spool: Spool
  hints: Hints
  events: Events
  delivery: Delivery
  quarantine: Quarantine
  notify: Notify
  /** Takes up what two processes died of: in a process of its own, or to keep it from everybody. */
  alone?: boolean
}

/** What one run works with. */
export type Run = {
  options: RelayOptions
  envelope: Envelope
  content: Content
  plan: Plan
  attempt: number
  claim: Claim
  custody: boolean
  /** What was written down before this run. */
  log: LogState
}

const NO_PLAN: Planned = {
  recipient: '',
  disposition: 'defer',
  policy: 'none',
  reason: 'no decision was made',
}

export function createRelay(options: RelayOptions): (job: RelayJob) => Promise<void> {
  const { spool, hints } = options
  return async job => {
    const { id } = job.envelope
    const claim = await spool.claims.take(id)
    if (!claim) return
    if (claim.deaths >= SUSPECT_DEATHS && !options.alone) {
      await claim.pass()
      if (job.replyTo !== undefined) hints.tell(job.replyTo, { id, kind: 'hold' })
      hints.tellSweep(id)
      return
    }
    try {
      const custody = await spool.inCustody(id)
      // A job not in custody ends with its deadline: nobody waits for it any more.
      if (!custody && Date.now() > (job.deadline ?? 0)) return
      const content = await spool.content(id)
      if (content) {
        const { envelope, plan, attempt } = job
        const log = await spool.log(id)
        await carryOut({ options, envelope, content, plan, attempt, claim, custody, log })
      } else if (custody) await spool.setAside(id, 'its content is missing')
      if (job.replyTo !== undefined) hints.tell(job.replyTo, { id, kind: 'settled' })
    } finally {
      await claim.release()
    }
  }
}

async function carryOut(run: Run): Promise<void> {
  const { options, envelope, log } = run
  const pending = envelope.recipients.filter(r => !log.ends.has(r.address))
  const byAddress = new Map(decidedFor(run).map(p => [p.recipient, p]))
  const planned = pending.map(recipient => ({
    recipient,
    plan: byAddress.get(recipient.address) ?? planFor(envelope),
  }))
  const toRelay = planned.filter(p => p.plan.disposition === 'relay')
  const ended = await Promise.allSettled([
    settleHere(
      run,
      planned.filter(p => p.plan.disposition !== 'relay'),
    ),
    ...groups(run, toRelay).map(group => relayGroup(run, group)),
  ])
  // Only now: until the last one has ended, the claim must not be given up.
  for (const each of ended) if (each.status === 'rejected') throw each.reason
  if (await options.spool.inCustody(envelope.id)) await closeCustody(run)
}

/** What a plan decided without a scanner that is required by now counts for nothing (I2). */
function decidedFor({ envelope, plan, options }: Run): Planned[] {
  if (envelope.kind === 'notification') return plan.recipients
  return heard(plan, requiredScanners(options.config())) ? plan.recipients : []
}

/** Notifications are ours: nobody has to decide about them. */
const planFor = (envelope: Envelope): Planned =>
  envelope.kind === 'notification'
    ? { recipient: '', disposition: 'relay', policy: 'notification', reason: 'ours' }
    : NO_PLAN

type Item = { recipient: Recipient; plan: Planned }
type Group = { nextHops: string[]; fields: string[]; cuts: Cut[]; recipients: Recipient[] }

/** Recipients with the same next hop, result fields and cuts share a transaction. */
function groups(run: Run, items: readonly Item[]): Group[] {
  const found = new Map<string, Group>()
  for (const { recipient, plan } of items) {
    const nextHops = nextHopsOf(run, recipient)
    const fields = plan.fields ?? []
    const cuts = plan.cuts ?? []
    const key = JSON.stringify([nextHops, fields, cuts])
    const group = found.get(key) ?? { nextHops, fields, cuts, recipients: [] }
    group.recipients.push(recipient)
    found.set(key, group)
  }
  return [...found.values()]
}

function nextHopsOf(run: Run, recipient: Recipient): string[] {
  const config = run.options.config()
  const hops =
    run.envelope.kind === 'notification'
      ? config.notifications?.nextHop
      : config.domains[recipient.domain]?.nextHop
  return hops === undefined ? [] : [hops].flat()
}

async function relayGroup(run: Run, group: Group): Promise<void> {
  const { options, envelope, content, claim } = run
  const { nextHops, fields, recipients } = group
  if (nextHops.length === 0) return defer(run, recipients, 'no next hop is configured any more')
  const replacements = await keepWhole(run, group.cuts)
  const startedAt = Date.now()
  const outcomes = await options.delivery.deliver({
    ...{ envelope, content, recipients, nextHops, fields, replacements },
    mayFinish: () => claim.stillHeld(),
  })
  options.events.relayAttempted({
    id: envelope.id,
    nextHop: outcomes[0]?.nextHop ?? nextHops[0] ?? '',
    durationMs: Date.now() - startedAt,
    outcomes,
  })
  const next = nextAttempt(run.attempt, options.config().retry, Date.now())
  const lines: LogLine[] = outcomes.map(outcome => relayLine(outcome, next))
  // Should this come into custody, later attempts need no new scan.
  if (outcomes.some(o => o.result !== 'relayed')) lines.unshift(...planLine(run))
  await settle(run, lines)
  const deferred = outcomes.filter(o => o.result === 'deferred')
  if (deferred.length > 0)
    options.events.retryScheduled({
      id: envelope.id,
      recipients: deferred.length,
      ...next,
      cause: deferred[0]?.reply.text ?? '',
    })
}

/** A plan with somebody deferred, or let pass, for want of a verdict is not kept: that one is to be scanned again. */
function planLine(run: Run): LogLine[] {
  const { recipients, unscanned } = run.plan
  const complete = unscanned !== true && recipients.every(p => p.disposition !== 'defer')
  return complete ? [{ kind: 'plan', at: Date.now(), plan: run.plan }] : []
}

async function defer(run: Run, recipients: readonly Recipient[], cause: string): Promise<void> {
  if (recipients.length === 0) return
  const { options, envelope } = run
  const next = nextAttempt(run.attempt, options.config().retry, Date.now())
  await writeDown(
    run,
    recipients.map(({ address }) => ({
      kind: 'deferred',
      at: Date.now(),
      recipient: address,
      ...next,
      detail: cause,
    })),
  )
  options.events.retryScheduled({ id: envelope.id, recipients: recipients.length, ...next, cause })
}

/** Dispositions that need no next hop. After custody, or beside relayed recipients, reject means quarantine. */
async function settleHere(run: Run, items: readonly Item[]): Promise<void> {
  const { options, envelope, content } = run
  const expired = isExpired(envelope.receivedAt, options.config().retry, Date.now())
  const waits = (item: Item) => item.plan.disposition === 'defer' && !expired
  await defer(
    run,
    items.filter(waits).map(item => item.recipient),
    items.find(waits)?.plan.reason ?? '',
  )
  const discarded = items.filter(item => item.plan.disposition === 'discard')
  const kept = items.filter(item => !waits(item) && !discarded.includes(item))
  for (const [reason, group] of Map.groupBy(kept, item => item.plan.reason)) {
    const recipients = group.map(item => item.recipient)
    const { place } = await options.quarantine.keep({
      message: { envelope, content },
      recipients,
      reason,
      policy: group[0]?.plan.policy ?? 'none',
    })
    const addresses = recipients.map(r => r.address)
    options.events.quarantined({ id: envelope.id, recipients: addresses, reason, place })
  }
  const ended = [...kept, ...discarded].map(
    (item): LogLine => ({
      kind: 'end',
      at: Date.now(),
      recipient: item.recipient.address,
      end: discarded.includes(item) ? 'discarded' : 'quarantined',
      detail: item.plan.reason,
    }),
  )
  if (ended.length > 0) await settle(run, ended)
}
