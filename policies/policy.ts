// What a policy is and what it may decide. Policies judge: they are handed values and return values.
import type { Client, Envelope, Recipient } from '../gateway/message.ts'
import type { Reply } from '../gateway/reply.ts'
import type { AttachmentKind, FailureKind, Reason, Report, Span } from '../scanners/scanner.ts'

/** What is to become of a message for one recipient. `defer` leaves it to be tried again. */
export type Disposition = 'relay' | 'quarantine' | 'reject' | 'discard' | 'defer'

/** What the failure matrix may say of a scanner that gave no verdict. */
export type MatrixAction = 'tempfail' | 'hold' | 'relay' | 'relayMarked' | 'reject' | 'quarantine'

/** What may become of a message that nobody can look into whole. */
export type UnscannableAction = 'reject' | 'quarantine' | 'relayMarked' | 'relay'
/** What the attachment rules may say of a file; `strip` puts a notice in its place. */
export const ATTACHMENT_ACTIONS = ['reject', 'quarantine', 'strip', 'relayMarked', 'relay'] as const
export type AttachmentAction = (typeof ATTACHMENT_ACTIONS)[number]

/** Fits a file that is all of what it names. One that lets pass must fit every name, type and kind there is. */
export type AttachmentRule = {
  /** With `*` and `?`, whatever the case. */
  names?: readonly string[] | undefined
  /** `application/pdf`, `image/*`. */
  types?: readonly string[] | undefined
  kinds?: readonly AttachmentKind[] | undefined
  action: AttachmentAction
}

/** A part to be replaced by a notice, and what the notice says of it. Printable ASCII. */
export type Cut = Span & { name: string; why: string }

export type Decision = {
  disposition: Disposition
  /** The policy that decided; fixed set, a metrics label. */
  policy: string
  /** For log, journal and quarantine: what was found, in a few words. */
  reason: string
  /** What the client reads where this decides the reply at the dot; its class fits the disposition. */
  reply?: Reply
  /** For `defer`: take custody now and scan again, instead of asking the client to come back. */
  custody?: boolean
  /** Fields for the top of the relayed content, `Name: value`, no CR or LF, each at most 998 octets. */
  fields?: string[]
  /** Parts that are not relayed, in their order, none within another; the whole message goes to the quarantine first. */
  cuts?: Cut[]
  /** Set where there was no verdict: the failure matrix decided, or the setting for what can't be scanned. */
  unscanned?: { scanner: string; failure: FailureKind | Reason; action: MatrixAction }
}

/** The settings that apply to one recipient's domain, defaults already merged in. */
export type DomainSettings = {
  spam: { tag: number; quarantine: number; reject: number }
  /** scanner name → failure kind → action; complete for every configured scanner. */
  failure: Record<string, Record<FailureKind, MatrixAction>>
  unscannable: Record<Reason, UnscannableAction>
  /** Asked in order, the shipped ones after all others. Absent where attachments are not looked at. */
  attachments?: { rules: readonly AttachmentRule[]; standard: boolean }
}

/** One disposition policy. Pure. The first opinion wins; no opinion from any means `defer`. */
export type Policy = {
  name: string
  decide(
    reports: readonly Report[],
    envelope: Envelope,
    recipient: Recipient,
    settings: DomainSettings,
  ): Decision | undefined
}

/** Where in the conversation a check is asked. */
export type Stage = 'connect' | 'mail' | 'recipient'

export type CheckInput = {
  client: Client
  reversePath?: string
  recipient?: Recipient
}

/** One admission check, asked while the client waits. Answers a refusal, or undefined for no objection. */
export type Check = {
  name: string
  stage: Stage
  check(input: CheckInput, signal: AbortSignal): Promise<Reply | undefined>
}
