// What the client reads of what a next hop said or did: its own code, our words.
import { type Reply, reply } from '../reply.ts'
import type { Failure } from './connection.ts'
import type { ServerReply } from './replies.ts'

const REFUSED = "Refused by the destination's mail server"
const NOT_NOW = "The destination's mail server can't take it now"

/** A next hop's 4xx or 5xx as our reply. Anything else is a fault of its own, to be tried again. */
export function passedOn(said: ServerReply): Reply {
  // 421 would end our client's session, and 503 is about our dialogue, not about this message.
  if (said.code === 421) return reply(451, said.enhanced ?? '4.3.2', NOT_NOW)
  if (said.code >= 500 && said.code !== 503) {
    return reply(said.code, said.enhanced ?? enhancedOf(said.code), REFUSED)
  }
  if (said.code >= 400 && said.code < 500) {
    return reply(said.code, said.enhanced ?? enhancedOf(said.code), NOT_NOW)
  }
  return reply(451, '4.5.0', "The destination's mail server can't be understood")
}

/** RFC 3463, for servers that say only the basic code. */
const ENHANCED: Record<number, string> = {
  450: '4.2.0',
  451: '4.3.0',
  452: '4.3.1',
  550: '5.1.1',
  551: '5.1.6',
  552: '5.2.2',
  553: '5.1.3',
}
const enhancedOf = (code: number): string => ENHANCED[code] ?? (code < 500 ? '4.0.0' : '5.0.0')

const FAILURES: Record<Failure['kind'], Reply> = {
  resolve: reply(451, '4.4.3', "The destination's name can't be resolved now"),
  connect: reply(451, '4.4.1', "No answer from the destination's mail server"),
  greeting: reply(451, '4.4.1', "The destination's mail server takes no mail now"),
  tls: reply(451, '4.7.5', "No secure connection to the destination's mail server"),
  lost: reply(451, '4.4.2', "The connection to the destination's mail server broke"),
  timeout: reply(451, '4.4.2', "The destination's mail server takes too long"),
  aborted: reply(451, '4.3.2', 'Interrupted, will be tried again'),
  busy: reply(451, '4.4.5', "Too much mail for the destination's mail server now"),
}
export const failureReply = (failure: Failure): Reply => FAILURES[failure.kind]

/** Ours where no next hop was asked, or may be. */
export const OWN = {
  stopped: reply(451, '4.3.0', 'Interrupted, will be tried again'),
  content: reply(451, '4.3.0', 'Local error, will be tried again'),
  uncertain: reply(451, '4.4.2', "No confirmation from the destination's mail server"),
  noEightBit: reply(554, '5.6.3', "The destination's mail server takes no 8-bit content"),
  noSmtpUtf8: reply(553, '5.6.7', "The destination's mail server takes no internationalized mail"),
  tooLarge: reply(552, '5.3.4', "Too large for the destination's mail server"),
  badAddress: reply(553, '5.1.3', 'This address cannot be relayed to'),
  badSender: reply(553, '5.1.7', 'This reverse-path cannot be relayed'),
  takesNone: reply(556, '5.1.10', 'The destination takes no mail'),
}
