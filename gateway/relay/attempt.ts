// One next hop's try at a message: as many transactions as it takes, none with what it can't carry.
import type { Envelope } from '../message.ts'
import type { RelayOutcome } from '../outcome.ts'
import type { Reply } from '../reply.ts'
import type { Capabilities, Failure } from './connection.ts'
import type { Target } from './next-hop.ts'
import { judge, ownOutcome } from './outcomes.ts'
import type { Pool } from './pool.ts'
import type { Source } from './source.ts'
import type { Timeouts } from './timeouts.ts'
import { type Dialogue, is2xx, transact } from './transaction.ts'
import { failureReply, OWN } from './words.ts'

export type Attempt = {
  envelope: Envelope
  source: Source
  target: Target
  pool: Pool
  timeouts: Timeouts
  mayFinish(): Promise<boolean>
  signal?: AbortSignal | undefined
}

/** `open`: nothing arrived for these and nothing is settled; another next hop may be tried. */
export type Attempted = { settled: RelayOutcome[]; open: RelayOutcome[] }

/** Recipients in one transaction at most; RFC 5321 §4.5.3.1.8 promises us 100. */
const MOST_RECIPIENTS = 1000

/** Never rejects. Each recipient comes out exactly once, settled or open. */
export async function attempt(a: Attempt, recipients: readonly string[]): Promise<Attempted> {
  const result: Attempted = { settled: [], open: [] }
  const [left, impossible] = carriable(a, recipients)
  result.settled.push(...impossible)
  for (let most = MOST_RECIPIENTS; left.length > 0; ) {
    const now = left.splice(0, most)
    const done = await once(a, now)
    result.settled.push(...done.settled)
    left.unshift(...done.tooMany)
    if (done.tooMany.length > 0) most = Math.max(1, now.length - done.tooMany.length)
    // What stopped this transaction would stop the next.
    const stopped = done.settled.some(({ reply }) => reply === OWN.stopped || reply === OWN.content)
    if (done.open.length > 0 || stopped) {
      const [why] = done.open.length > 0 ? done.open : done.settled.slice(-1)
      result.open.push(...done.open, ...left.map(recipient => ({ ...deferredAs(why), recipient })))
      break
    }
  }
  return result

  function deferredAs(why: RelayOutcome | undefined): RelayOutcome {
    return why ?? ownOutcome('', OWN.stopped, a.target.name)
  }
}

type Once = Attempted & { tooMany: string[] }

/** One transaction, and a second one on a fresh connection where a kept one turned out to be dead. */
async function once(a: Attempt, recipients: readonly string[]): Promise<Once> {
  for (let fresh = false; ; fresh = true) {
    const connection = await a.pool.acquire(fresh, a.signal)
    if ('kind' in connection) return unreached(a, recipients, connection)
    const kept = connection.transactions > 0
    const { refused, sendable, smtpUtf8 } = await fitted(a, connection.capabilities, recipients)
    if (sendable.length === 0) {
      a.pool.release(connection, true)
      return { settled: refused, open: [], tooMany: [] }
    }
    const dialogue = await transact(connection, {
      lmtp: a.target.protocol === 'lmtp',
      reversePath: a.envelope.reversePath,
      recipients: sendable,
      eightBit: a.envelope.eightBit,
      smtpUtf8,
      source: a.source,
      mayFinish: a.mayFinish,
      timeouts: a.timeouts,
      signal: a.signal,
    })
    a.pool.release(connection, dialogue.reusable)
    if (kept && !fresh && diedUnused(dialogue) && !a.signal?.aborted) continue
    const judged = judge(dialogue, sendable, a.target.name)
    return { ...judged, settled: [...refused, ...judged.settled] }
  }
}

/** A kept connection that the next hop had already given up, before it took anything of this message. */
function diedUnused(d: Dialogue): boolean {
  if (d.dotSent || d.data?.code === 354) return false
  return d.mail?.code === 421 || (d.ended.kind === 'lost' && !d.rcpt.some(is2xx))
}

type Fitted = { refused: RelayOutcome[]; sendable: string[]; smtpUtf8: boolean }

/** What this next hop can't carry is refused before anything is sent, never sent regardless. */
async function fitted(
  a: Attempt,
  can: Capabilities,
  recipients: readonly string[],
): Promise<Fitted> {
  const all = (reply: Reply, detail = '', to = recipients): Fitted => ({
    refused: to.map(address => ownOutcome(address, reply, a.target.name, detail)),
    sendable: recipients.filter(address => !to.includes(address)),
    smtpUtf8: false,
  })
  const { envelope, source } = a
  if (can.sizeBytes !== undefined && source.sizeBytes > can.sizeBytes) {
    return all(OWN.tooLarge, `${source.sizeBytes} octets, it takes ${can.sizeBytes}`)
  }
  if (envelope.eightBit && !can.eightBitMime) {
    // BODY=8BITMIME may have been declared of content that is 7-bit after all.
    try {
      if (await source.hasEightBit()) return all(OWN.noEightBit, 'no 8BITMIME')
    } catch (error) {
      return all(OWN.content, error instanceof Error ? error.message : String(error))
    }
  }
  // RFC 6531 §3.2: for the addresses of the envelope, and for header fields in UTF-8.
  const ofMessage = isUtf8(envelope.reversePath) || (envelope.smtpUtf8 && source.eightBitHeader)
  if (!can.smtpUtf8) {
    const unable = ofMessage ? recipients : recipients.filter(isUtf8)
    if (unable.length > 0) return all(OWN.noSmtpUtf8, 'no SMTPUTF8', unable)
  }
  return { refused: [], sendable: [...recipients], smtpUtf8: ofMessage }
}

const isUtf8 = (address: string): boolean => /[^\x00-\x7f]/.test(address)

/** nodemailer sends no angle brackets within an address and trims it: then it would not be the one accepted. */
const isCarriable = (address: string): boolean =>
  !/[\x00-\x1f\x7f<>]/.test(address) && address === address.trim()

function carriable(
  a: Attempt,
  recipients: readonly string[],
): [carriable: string[], impossible: RelayOutcome[]] {
  const sender = isCarriable(a.envelope.reversePath)
  const can = recipients.filter(address => sender && address !== '' && isCarriable(address))
  const not = recipients.filter(address => !can.includes(address))
  const reply = sender ? OWN.badAddress : OWN.badSender
  return [can, not.map(address => ownOutcome(address, reply, a.target.name))]
}

function unreached(a: Attempt, recipients: readonly string[], failure: Failure): Once {
  const reply = failureReply(failure)
  const open = recipients.map(to => ownOutcome(to, reply, a.target.name, failure.detail))
  return { settled: [], open, tooMany: [] }
}
