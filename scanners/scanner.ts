// What a scanner is and what it may report. Scanners report, policies judge: nothing here decides, logs or counts.
import type { Message } from '../gateway/message.ts'
import type { Reason } from './mime/limits.ts'

export type { Reason }

/**
 * `down`: no connection, or it broke; `slow`: its deadline passed; `limit`: the engine's own limits were exceeded;
 * `garbled`: a reply not understood.
 */
export type FailureKind = 'down' | 'slow' | 'limit' | 'garbled'

/** Result of SPF and DKIM, as far as a DSN's addressee must be believed (I6). */
export type Authentication = {
  /** SPF passed for the reverse-path's domain. */
  spf: boolean
  /** A valid DKIM signature's domain aligns with the reverse-path's domain (relaxed, RFC 7489 §3.1.1). */
  dkim: boolean
}

/** What a file can be, by its octets or by its name: rules' words and a metric's labels. */
export const ATTACHMENT_KINDS = [
  'windows-executable',
  'elf',
  'mach-o',
  'script',
  'office-macro',
  'auto-run-macro',
  'encrypted-archive',
  'encrypted-document',
  'disk-image',
  'shortcut',
  'onenote',
  'double-extension',
  'right-to-left',
  'mismatch',
] as const
export type AttachmentKind = (typeof ATTACHMENT_KINDS)[number]

/** Octets of a message's content, from `from` to before `to`. */
export type Span = { from: number; to: number }

/** One file in a message, or in an archive in it. All texts are printable and bounded; they come from the message. */
export type Attachment = {
  /** Every name that some mail program would give it, at most 255 characters each. */
  names: string[]
  /** Every type claimed for it: `application/pdf`. */
  types: string[]
  kinds: AttachmentKind[]
  /** It lies in an archive. */
  packed: boolean
  /** The body part that it stands in, alone, for every reader: only there can it be cut out. */
  span?: Span
}

/**
 * What one scanner says of one message. `unscannable` is the message's fault: asking again won't help; `reasons` are
 * all that is known, since a policy may be lenient with one and not with another.
 * `failed` is the engine's: ask again later. A score that `adds` counts on top of that of the spam scanners.
 */
export type Verdict =
  | { kind: 'clean' }
  | { kind: 'infected'; name: string }
  | { kind: 'scored'; score: number; symbols: string[]; adds?: true }
  | { kind: 'unscannable'; reasons: Reason[] }
  /** `unread`: there is more than was looked at, and why. */
  | { kind: 'attachments'; found: Attachment[]; unread?: Reason[] }
  | { kind: 'failed'; failure: FailureKind; cause: string }

/** A verdict with who gave it, and how long it took. */
export type Report = {
  scanner: string
  verdict: Verdict
  /** Present where the scanner also checked SPF and DKIM. */
  authentication?: Authentication
  durationMs: number
}

/** What `scan` returns; the frame adds name and duration. */
export type Finding = { verdict: Verdict; authentication?: Authentication }

/** A canary instead of mail: looked at anew, whatever is remembered, and by one address alone where it names one. */
export type Probe = { address?: string }

export type Scanner = {
  /** Fixed; a metrics label and a key of `failure` in the configuration. */
  name: string
  /** What its canaries are: `viruses` must find EICAR, `spam` GTUBE; where absent it must only answer. */
  sees?: 'viruses' | 'spam'
  /** Looks at one message. Must settle soon after `signal` aborts; a rejection counts as `failed` (`garbled`). */
  scan(message: Message, signal: AbortSignal, probe?: Probe): Promise<Finding>
  /**
   * What the canary says of an address. Once it has been asked for, no mail goes to an address that has not passed
   * since it was last found down; with none left, scans are `failed` (`down`).
   */
  trust?(address: string, passed: boolean): void
  /** The engine's own addresses with their state, for metrics and readiness. */
  engines(): EngineState[]
  /** Asks the engine for its version and signature age; undefined where it has none or doesn't answer. */
  version?(): Promise<About | undefined>
  /** Milliseconds one scan may take before it counts as `failed` (`slow`). */
  deadlineMs: number
  [Symbol.asyncDispose](): Promise<void>
}

/** `warning`: it answers, but is set up so that its verdicts say less than they seem to. */
export type About = {
  version: string
  signatures?: string
  signatureAgeSeconds?: number
  warning?: string
}

export type EngineState = { address: string; up: boolean }
