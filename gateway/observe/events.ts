// Everything that can happen, one function each. Whoever makes it happen calls it; log, journal and metrics follow.
import type { Disposition, MatrixAction } from '../../policies/policy.ts'
import type { FailureKind, Reason, Report } from '../../scanners/scanner.ts'
import type { Envelope } from '../message.ts'
import type { RelayOutcome } from '../outcome.ts'
import type { Reply } from '../reply.ts'

/** The ends a message in custody can come to, counted in recipients (design: the ledger). */
export type Ends = { relayed: number; quarantined: number; discarded: number; notified: number }

export type Events = {
  // Receive
  connectionOpened(e: { listener: string; address: string }): void
  connectionClosed(e: { listener: string; address: string; durationMs: number }): void
  /** A fixed word: `total`, `per-client`, `stopping`, `not-ready`, `busy`. */
  connectionRefused(e: { listener: string; address: string; reason: string }): void
  sessionSecured(e: { listener: string; address: string; version: string; cipher: string }): void
  /** `command` is one of CONNECT HELO MAIL RCPT DATA; `reason` a fixed kebab-case word. */
  commandRefused(e: {
    command: string
    reason: string
    reply: Reply
    address: string
    id?: string
    detail?: string
  }): void
  messageReceived(e: { envelope: Envelope; transferMs: number }): void
  /** The reply to the final dot was handed to the client. `waited` counts from the dot. */
  dotAnswered(e: { id: string; reply: Reply; waitedMs: number; cause?: string }): void
  /** 250 was said with every recipient at its end: nothing of it is in custody. */
  acknowledgedHeld(e: { id: string; recipients: number; ends: Ends }): void
  /** The envelope lies in `queued/`: every recipient is now in custody. */
  custodyTaken(e: { id: string; recipients: number; reason: string; durationMs: number }): void
  /** Said just before the envelope is removed from `queued/`. */
  custodyEnded(e: { id: string; recipients: number; ends: Ends }): void
  clientGone(e: { id: string; state: 'dropped' | 'left' | 'custody' }): void
  /** A client sent again what we had settled but could not acknowledge. */
  retryRecognised(e: { id: string; earlier: string; recipients: number }): void

  // Scan and decide
  scanned(e: { id: string; report: Report }): void
  decided(e: {
    id: string
    recipient: string
    disposition: Disposition
    policy: string
    reason: string
  }): void
  matrixActivated(e: {
    id: string
    scanner: string
    failure: FailureKind | Reason
    action: MatrixAction
    cause: string
  }): void
  /**
   * Parts are cut out of what is relayed, which voids its DKIM signatures; the whole message is in the quarantine.
   * Told at each attempt.
   */
  stripped(e: {
    id: string
    recipients: string[]
    parts: number
    reason: string
    place: string
    signatures: 'void'
  }): void
  quarantined(e: { id: string; recipients: string[]; reason: string; place: string }): void

  // Relay
  relayAttempted(e: {
    id: string
    nextHop: string
    durationMs: number
    outcomes: RelayOutcome[]
  }): void
  retryScheduled(e: {
    id: string
    recipients: number
    attempt: number
    dueAt: number
    cause: string
  }): void
  notificationQueued(e: { id: string; notification: string; recipients: string[] }): void
  undeliverable(e: { id: string; recipients: string[]; cause: string }): void

  // Around them
  directoryLookedUp(e: {
    directory: string
    existence: string
    cached: boolean
    durationMs: number
    cause?: string
  }): void
  /** `engine` is a kind (clamav, rspamd, spamassassin, ldap, redis, …), `address` which one of it. Told on change. */
  engineChanged(e: { engine: string; address: string; up: boolean; cause?: string }): void
  /** A canary went the way of mail: past all scanners and the policies. Told each time. */
  canaryAnswered(e: { probe: string; passed: boolean; isChanged: boolean; found: string[] }): void
  /** What the canaries say of one engine's address: one that is `failing` gets no mail. Told each time. */
  canaryFailed(e: {
    engine: string
    address: string
    failing: boolean
    isChanged: boolean
    cause?: string
  }): void
  /** Redis was asked whether others found a part clean; `forged`: by what it holds, which none of us sealed. */
  knownCleanAsked(e: { result: 'known' | 'unknown' | 'unanswered' | 'forged' }): void
  spoolCorrupt(e: { file: string; cause: string }): void
  orphanRemoved(e: { file: string; ageMs: number }): void
  sweepDone(e: { queued: number; added: number; durationMs: number }): void
  /** An exception that reached one of the three nets (session, scan job, relay job), or a program that ended. */
  fault(e: { where: string; error: unknown; id?: string }): void
  /**
   * Something an administrator should know: a loud line and a metric by its fixed `name`. `over` tells that what was
   * warned of is no longer so.
   */
  warned(e: { name: string; text: string; over?: boolean }): void
  /** SIGHUP: the configuration was read again, and is used from now on unless it was `refused`. */
  configReloaded(e: { result: 'applied' | 'refused'; cause?: string }): void
}
