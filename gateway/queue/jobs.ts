// What travels through Redis: ids, envelopes and plans, never content. A leaf of the queue.
import type { Cut, Disposition } from '../../policies/policy.ts'
import type { Authentication } from '../../scanners/scanner.ts'
import type { Envelope } from '../message.ts'
import type { Reply } from '../reply.ts'

/** What was decided for one recipient, in a form that survives Redis and the outcome log. */
export type Planned = {
  recipient: string
  disposition: Disposition
  policy: string
  reason: string
  fields?: string[]
  /** Parts that a notice takes the place of. */
  cuts?: Cut[]
}

/** The decisions for a whole message, and what a later DSN needs to know. */
export type Plan = {
  recipients: Planned[]
  /** Who was asked, and gave a verdict or was let pass without one. Absent from what other versions wrote. */
  scanners?: string[]
  /** Somebody's mail was let pass without a verdict: good for this attempt only. */
  unscanned?: boolean
  /** Absent where no scanner checked SPF and DKIM. */
  authentication?: Authentication
}

/** Whether a plan was made with the word of every scanner required now: one may have been added since. */
export const heard = (plan: Plan, required: readonly string[]): boolean =>
  required.every(scanner => plan.scanners?.includes(scanner))

export type ScanJob = {
  envelope: Envelope
  /** 1 for the first try. */
  attempt: number
  /** The process whose session holds the dot; absent in custody. */
  replyTo?: string
  /** Milliseconds since the epoch; a job not in custody ends with it. */
  deadline?: number
}

export type RelayJob = ScanJob & { plan: Plan }

/** A hint to the waiting session that it should look: the outcome log is the truth. */
export type Hint = {
  id: string
  /**
   * - `settled`: look at the log.
   * - `tempfail`: no verdict, nothing was done, answer `reply` (4xx).
   * - `reject`: every recipient is refused by policy, nothing was done, answer `reply` (5xx).
   * - `hold`: take custody, this will take longer.
   */
  kind: 'settled' | 'tempfail' | 'reject' | 'hold'
  reply?: Reply
}
