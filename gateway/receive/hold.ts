// Holds the dot: finds earlier tries of a message, carries what is left, and remembers it until the client knows.
import type { Message } from '../message.ts'
import { reply } from '../reply.ts'
import { inTheEnd } from '../spool/disk.ts'
import type { Entered, Entry } from '../spool/unanswered.ts'
import type { Answer, HoldDot } from './answer.ts'
import { carry } from './carry.ts'
import {
  type Conclusion,
  DELIVERED,
  forgotten,
  type Holding,
  type HoldOptions,
  NOT_NOW,
} from './conclusion.ts'
import { type Earlier, lookEarlier } from './earlier.ts'
import { createEndings } from './endings.ts'
import { dropUntouched } from './let-go.ts'

const UNDER_WAY = reply(451, '4.3.0', 'An earlier copy is still being delivered, try again later')

export function createHold(given: HoldOptions): HoldDot {
  const options: Holding = { ...given, onEnd: createEndings() }
  return async (message, gone) => {
    const { id, fingerprint } = message.envelope
    let entered: Entered | undefined
    try {
      entered = await options.spool.unanswered.enter(fingerprint, id)
      return await begin(options, message, entered, gone)
    } catch (error) {
      options.events.fault({ where: 'hold', error, id })
      return await lastResort(options, id, entered?.entry)
    }
  }
}

/** After a bug of ours, or a file system that fails: what can't be dropped is left for the client's retry to find. */
async function lastResort(
  { spool }: HoldOptions,
  id: string,
  entry: Entry | undefined,
): Promise<Answer> {
  const dropped = await dropUntouched(spool, id).catch(() => false)
  await inTheEnd(async () => (dropped ? entry?.forget() : entry?.leave()))
  return { reply: NOT_NOW, heard: async () => undefined, unheard: async () => undefined }
}

async function begin(
  options: Holding,
  message: Message,
  { entry, earlier: ids }: Entered,
  gone: AbortSignal,
): Promise<Answer> {
  const { spool, events } = options
  const { id } = message.envelope
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
  const partly = recipients.length < message.envelope.recipients.length
  return answerOf(await carry(options, { envelope, partly }, gone), entry, earlier)
}

/** Keeps or drops the memory of this try, and of the earlier ones, as the client hears the answer or not. */
async function answerOf(
  concluded: Conclusion,
  entry: Entry,
  earlier: Earlier | undefined,
): Promise<Answer> {
  const { memory } = concluded
  if (memory === 'forget') await inTheEnd(entry.forget)
  if (memory === 'remember') await inTheEnd(entry.leave)
  return {
    reply: concluded.reply,
    heard: () =>
      inTheEnd(async () => {
        await concluded.heard?.()
        if (memory === 'until-heard') await entry.forget()
        if (concluded.reply.code < 400) await earlier?.forget()
      }),
    unheard: () =>
      inTheEnd(async () => {
        if (memory === 'until-heard') await entry.leave()
        await concluded.unheard?.()
      }),
  }
}
