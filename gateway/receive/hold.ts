// Holds the dot: carries one message through the journey while its client waits, and says what may be said.
import type { Config } from '../config/schema.ts'
import type { Envelope, Message } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Hints } from '../queue/hints.ts'
import type { Hint } from '../queue/jobs.ts'
import type { WorkQueue } from '../queue/queue.ts'
import { type Reply, reply } from '../reply.ts'
import type { Spool } from '../spool/spool.ts'
import { type Standing, standingOf } from '../spool/standing.ts'
import type { Entry } from '../spool/unanswered.ts'
import type { Answer, HoldDot } from './answer.ts'
import { type Bell, createBell } from './bell.ts'
import { type Earlier, lookEarlier } from './earlier.ts'

/** The client's own patience is ten minutes (RFC 5321 §4.5.3.2.6); where custody fails we hold on almost that long. */
const LONGEST_HOLD_MS = 540_000
/** A lost hint is made up for by looking at the log this often. */
const LOOK_MS = 1000
/** Custody that failed (disk full, say) is tried again after this. */
const CUSTODY_RETRY_MS = 5000
/** How soon a claim that a worker is about to release is asked for again. */
const CLAIM_RETRY_MS = 25

const DELIVERED = reply(250, '2.0.0', 'Delivered')
const KEPT = reply(250, '2.0.0', 'Accepted for delivery')
const NOT_NOW = reply(451, '4.3.0', 'Cannot process this message now, try again later')
const UNDER_WAY = reply(451, '4.3.0', 'An earlier copy is still being delivered, try again later')

export type HoldOptions = {
  config: () => Config
  spool: Spool
  queue: WorkQueue
  hints: Hints
  events: Events
  /** Aborts when the gateway stops: what is in flight then comes into custody at once. */
  stopping: AbortSignal
}

export function createHold(options: HoldOptions): HoldDot {
  return async (message, gone) => {
    try {
      return await begin(options, message, gone)
    } catch (error) {
      options.events.fault({ where: 'hold', error, id: message.envelope.id })
      return await lastResort(options, message)
    }
  }
}

/** What is to be said, and how long the message is to be remembered for its client's retry. */
type Conclusion = {
  reply: Reply
  /**
   * - `forget`: nothing of it is left, or nothing was done.
   * - `until-heard`: only if the client was lost before it knew.
   * - `remember`: somebody may still be acting on it, whatever we say.
   */
  memory: 'forget' | 'until-heard' | 'remember'
  heard?(): Promise<void>
  unheard?(): Promise<void>
}

const forgotten = (said: Reply): Conclusion => ({ reply: said, memory: 'forget' })

/** After a bug of ours: 4xx only if we can take the message out of everybody's hands first. */
async function lastResort({ spool }: HoldOptions, { envelope }: Message): Promise<Answer> {
  try {
    const claim = await spool.claims.take(envelope.id)
    if (claim && !(await spool.inCustody(envelope.id))) await spool.removeHeld(envelope.id)
    await claim?.release()
  } catch {
    // The file system fails too: the client keeps the message, its retry finds what there is.
  }
  return { reply: NOT_NOW, heard: async () => undefined, unheard: async () => undefined }
}

async function begin(options: HoldOptions, message: Message, gone: AbortSignal): Promise<Answer> {
  const { spool, events } = options
  const { id, fingerprint } = message.envelope
  const { entry, earlier: ids } = await spool.unanswered.enter(fingerprint, id)
  const patienceMs = options.config().hold.seconds * 1000
  const earlier =
    ids.length === 0
      ? undefined
      : await lookEarlier(spool, events, message.envelope, ids, patienceMs, gone)
  if (earlier?.underWay) {
    await spool.removeHeld(id)
    return answerOf(forgotten(UNDER_WAY), entry, undefined)
  }
  const recipients = message.envelope.recipients.filter(r => !earlier?.covered.has(r.address))
  if (recipients.length === 0) {
    await spool.removeContent(id)
    return answerOf(forgotten(DELIVERED), entry, earlier)
  }
  const envelope = { ...message.envelope, recipients }
  return answerOf(await carry(options, envelope, gone), entry, earlier)
}

/** Keeps or drops the memory of this try, and of the earlier ones, as the client hears the answer or not. */
async function answerOf(
  concluded: Conclusion,
  entry: Entry | undefined,
  earlier: Earlier | undefined,
): Promise<Answer> {
  const { memory } = concluded
  if (memory === 'forget') await entry?.forget()
  if (memory === 'remember') await entry?.leave()
  return {
    reply: concluded.reply,
    async heard() {
      await concluded.heard?.()
      if (memory === 'until-heard') await entry?.forget()
      if (concluded.reply.code < 400) await earlier?.forget()
    },
    async unheard() {
      await concluded.unheard?.()
      if (memory === 'until-heard') await entry?.leave()
    },
  }
}

type Carried = {
  options: HoldOptions
  envelope: Envelope
  gone: AbortSignal
  bell: Bell
  hint: Hint | undefined
  startedAt: number
}

async function carry(
  options: HoldOptions,
  envelope: Envelope,
  gone: AbortSignal,
): Promise<Conclusion> {
  const bell = createBell()
  const carried: Carried = {
    options,
    envelope,
    gone,
    bell,
    hint: undefined,
    startedAt: Date.now(),
  }
  const deaf = options.hints.listen(envelope.id, hint => {
    carried.hint = hint
    bell.ring()
  })
  const endings = [gone, options.stopping]
  for (const ending of endings) ending.addEventListener('abort', bell.ring)
  try {
    return await ask(carried)
  } finally {
    deaf()
    for (const ending of endings) ending.removeEventListener('abort', bell.ring)
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
      deadline: carried.startedAt + LONGEST_HOLD_MS,
    })
  } catch (error) {
    options.events.warned({ name: 'queue-unreachable', text: String(error) })
    return refuseNow(carried, NOT_NOW)
  }
  return waitForOutcome(carried, carried.startedAt + holdMs)
}

async function waitForOutcome(carried: Carried, holdUntil: number): Promise<Conclusion> {
  const { options, envelope, gone, bell, startedAt } = carried
  let custodyAt = holdUntil
  for (;;) {
    if (gone.aborted) return clientLost(carried)
    const config = options.config()
    const log = await options.spool.log(envelope.id)
    const standing = standingOf(envelope, log, d => config.domains[d]?.deferred === 'tempfail')
    const concluded = (await conclude(carried, standing)) ?? (await heed(carried))
    if (concluded) return concluded
    const now = Date.now()
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
    const look = busy ? CLAIM_RETRY_MS : LOOK_MS
    await bell.wait(Math.min(look, Math.max(0, custodyAt - Date.now())))
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

/** Answers 4xx or 5xx and forgets the message, if nobody else can act on it any more. */
async function refuseIfFree(carried: Carried, said: Reply): Promise<Conclusion | undefined> {
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
async function refuseNow(carried: Carried, said: Reply): Promise<Conclusion> {
  const answer = await refuseIfFree(carried, said)
  return answer ?? { reply: said, memory: 'remember' }
}

async function clientLost(carried: Carried): Promise<Conclusion> {
  const concluded = await refuseNow(carried, NOT_NOW)
  const state = concluded.memory === 'forget' ? 'dropped' : 'left'
  carried.options.events.clientGone({ id: carried.envelope.id, state })
  return concluded
}

/** Takes custody, and answers 250; undefined where the disk would not have it. */
async function intoCustody(carried: Carried, reason: string): Promise<Conclusion | undefined> {
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
  options.events.custodyTaken({ id, recipients: envelope.recipients.length, reason, durationMs })
  // The log may have grown meanwhile: the sweep looks, and ends what has ended.
  options.hints.tellSweep(id)
  return { reply: KEPT, memory: 'until-heard' }
}
