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

/**
 * What one scanner says of one message. `unscannable` is the message's fault: asking again won't help; `reasons` are
 * all that is known, since a policy may be lenient with one and not with another.
 * `failed` is the engine's: ask again later.
 */
export type Verdict =
  | { kind: 'clean' }
  | { kind: 'infected'; name: string }
  | { kind: 'scored'; score: number; symbols: string[] }
  | { kind: 'unscannable'; reasons: Reason[] }
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

export type Scanner = {
  /** Fixed; a metrics label and a key of `failure` in the configuration. */
  name: string
  /** Looks at one message. Must settle soon after `signal` aborts; a rejection counts as `failed` (`garbled`). */
  scan(message: Message, signal: AbortSignal): Promise<Finding>
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
