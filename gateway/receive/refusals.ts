// What a session says no with, beside what commands and content are refused for.
import { reply } from '../reply.ts'
import type { Refusal } from './command.ts'

export const refused = (reason: string, code: number, enhanced: string, text: string): Refusal => ({
  reason,
  reply: reply(code, enhanced, text),
})

export const FAULT = reply(451, '4.3.0', 'Local error, try again later')
export const LOST: Refusal = { reason: 'lost', reply: reply(451, '4.4.2', 'Connection lost') }
export const BAD_HELO = refused('helo-syntax', 501, '5.5.4', 'Name is not printable ASCII')
export const NESTED = refused('sequence', 503, '5.5.1', 'A mail transaction is open already')
export const NO_MAIL = refused('sequence', 503, '5.5.1', 'MAIL comes first')
export const TOO_MANY = refused('too-many-recipients', 452, '4.5.3', 'Too many recipients')
export const TOO_BIG = refused('size', 552, '5.3.4', 'Message too big')
export const STOPPING = refused('stopping', 421, '4.3.2', 'Service closing, try again later')
/** RFC 3463 §3.4: X.3.1 is for queues that are full too. */
export const BUSY = refused('busy', 452, '4.3.1', 'Too much mail at once, try again later')
