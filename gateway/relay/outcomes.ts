// From the replies of one transaction to what became of each recipient, and who is still to be tried.
import type { RelayOutcome } from '../outcome.ts'
import type { Reply } from '../reply.ts'
import { isPermanent } from '../reply.ts'
import type { ServerReply } from './replies.ts'
import { type Dialogue, is2xx } from './transaction.ts'
import { failureReply, OWN, passedOn } from './words.ts'

export type Judged = {
  /** Settled as far as this attempt goes. */
  settled: RelayOutcome[]
  /** Beyond what the next hop takes in one transaction (RFC 5321 §4.5.3.1.10): another one follows at once. */
  tooMany: string[]
  /** Nothing is settled for these, nothing can have arrived: another next hop may be tried. As if deferred so far. */
  open: RelayOutcome[]
}

const outcome = (
  recipient: string,
  result: RelayOutcome['result'],
  reply: Reply,
  nextHop: string,
  detail: string,
): RelayOutcome => ({ recipient, result, reply, nextHop, ...(detail === '' ? {} : { detail }) })

export function ownOutcome(
  recipient: string,
  reply: Reply,
  nextHop: string,
  detail = '',
): RelayOutcome {
  return outcome(recipient, isPermanent(reply) ? 'refused' : 'deferred', reply, nextHop, detail)
}

/** Judges one whole dialogue; each recipient comes out exactly once. */
export function judge(d: Dialogue, recipients: readonly string[], nextHop: string): Judged {
  const judged: Judged = { settled: [], tooMany: [], open: [] }
  const own = (recipient: string, reply: Reply, detail: string) =>
    ownOutcome(recipient, reply, nextHop, detail)
  const said = (recipient: string, answer: ServerReply) =>
    own(recipient, passedOn(answer), answer.text)
  const someAccepted = d.rcpt.some(is2xx)
  let dot = -1
  for (const [i, recipient] of recipients.entries()) {
    const rcpt = d.rcpt[i]
    if (d.mail && !is2xx(d.mail)) {
      const refused = said(recipient, d.mail)
      if (refused.result === 'refused') judged.settled.push(refused)
      else judged.open.push(refused)
    } else if (rcpt && rcpt.code !== 421 && !is2xx(rcpt)) {
      if (someAccepted && isTooMany(rcpt)) judged.tooMany.push(recipient)
      else judged.settled.push(said(recipient, rcpt))
    } else if (rcpt && d.data && d.data.code !== 354 && d.data.code !== 421) {
      judged.settled.push(said(recipient, d.data))
    } else {
      if (is2xx(rcpt)) dot++
      const answer = d.lmtp ? d.dots[dot] : d.dots[0]
      if (answer && is2xx(rcpt) && isFinal(answer)) judged.settled.push(afterDot(answer, recipient))
      else if (d.dotSent && is2xx(rcpt)) {
        const detail = answer?.text ?? d.ended.detail
        judged.settled.push({ ...own(recipient, OWN.uncertain, detail), uncertain: true })
      } else if (d.ended.kind === 'stopped' || d.ended.kind === 'content') {
        judged.settled.push(own(recipient, OWN[d.ended.kind], d.ended.detail))
      } else judged.open.push(own(recipient, brokenReply(d), broken(d, rcpt)))
    }
  }
  return judged

  function afterDot(answer: ServerReply, recipient: string): RelayOutcome {
    if (!is2xx(answer)) return said(recipient, answer)
    const { code, enhanced } = answer
    const reply = { code, enhanced: enhanced ?? '2.0.0', text: 'Delivered' }
    return outcome(recipient, 'relayed', reply, nextHop, answer.text)
  }
}

function brokenReply(d: Dialogue): Reply {
  const kind = d.ended.kind
  return failureReply({
    kind: kind === 'timeout' || kind === 'aborted' ? kind : 'lost',
    detail: d.ended.detail,
  })
}

/** The 421 that ended it tells more than that the connection was closed. */
function broken(d: Dialogue, rcpt: ServerReply | undefined): string {
  const last = d.data ?? rcpt ?? d.rcpt.at(-1)
  return last?.code === 421 ? last.text : d.ended.detail
}

/** Anything else after the dot is no answer that can be believed. */
const isFinal = (r: ServerReply): boolean => is2xx(r) || (r.code >= 400 && r.code < 600)

/** 452, and 552 as older servers say it, unless the enhanced code says that it means something else. */
const isTooMany = (r: ServerReply): boolean =>
  (r.code === 452 || r.code === 552) &&
  (r.enhanced === undefined || /^[45]\.5\.3$/.test(r.enhanced))
