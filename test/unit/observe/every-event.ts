// One example of each event, complete by type: a new event without one does not compile.
import type { Events } from '../../../gateway/observe/events.ts'

export type EveryEvent = { [E in keyof Events]: Parameters<Events[E]>[0] }

const reply = { code: 550, enhanced: '5.7.1', text: 'No' }
const listener = '0.0.0.0:25'
const address = '192.0.2.1'
const id = 'x1'
const ends = { relayed: 1, quarantined: 0, discarded: 0, notified: 1 }

export const everyEvent: EveryEvent = {
  connectionOpened: { listener, address },
  connectionClosed: { listener, address, durationMs: 3 },
  connectionRefused: { listener, address, reason: 'total' },
  sessionSecured: { listener, address, version: 'TLSv1.3', cipher: 'c' },
  commandRefused: { command: 'RCPT', reason: 'unknown-recipient', reply, address, id },
  messageReceived: {
    envelope: {
      ...{ id, receivedAt: 1, reversePath: 'a@example.net', sizeBytes: 5, eightBit: false },
      ...{ smtpUtf8: false, sha256: 'ab', kind: 'mail', fingerprint: 'f' },
      client: { address, port: 1, helo: 'h', tls: { version: 'TLSv1.3', cipher: 'c' } },
      recipients: [{ address: 'b@example.org', domain: 'example.org' }],
    },
    transferMs: 12,
  },
  dotAnswered: { id, reply, waitedMs: 20, cause: 'infected' },
  acknowledgedHeld: { id, recipients: 2, ends },
  custodyTaken: { id, recipients: 2, reason: 'hold', durationMs: 2 },
  custodyEnded: { id, recipients: 2, ends },
  clientGone: { id, state: 'left' },
  retryRecognised: { id, earlier: 'x0', recipients: 1 },
  scanned: {
    id,
    report: {
      scanner: 'clamav',
      verdict: { kind: 'failed', failure: 'down', cause: 'ECONNREFUSED' },
      durationMs: 2,
      authentication: { spf: true, dkim: false },
    },
  },
  decided: { id, recipient: 'b@example.org', disposition: 'relay', policy: 'clean', reason: 'r' },
  matrixActivated: { id, scanner: 'clamav', failure: 'down', action: 'tempfail', cause: 'c' },
  stripped: {
    ...{ id, recipients: ['b@example.org'], parts: 1, reason: 'r', place: 'p' },
    signatures: 'void',
  },
  quarantined: { id, recipients: ['b@example.org'], reason: 'spam', place: 'p' },
  relayAttempted: {
    ...{ id, nextHop: 'h:25', durationMs: 5 },
    outcomes: [
      { recipient: 'b@example.org', result: 'deferred', reply, nextHop: 'h:25', uncertain: true },
    ],
  },
  retryScheduled: { id, recipients: 1, attempt: 2, dueAt: 1, cause: 'c' },
  notificationQueued: { id, notification: 'x2', recipients: ['b@example.org'] },
  undeliverable: { id, recipients: ['b@example.org'], cause: 'no way out' },
  directoryLookedUp: { directory: 'staff', existence: 'known', cached: false, durationMs: 2 },
  engineChanged: { engine: 'clamav', address: 'unix:/x', up: false, cause: 'c' },
  canaryAnswered: { probe: 'eicar', passed: false, isChanged: true, found: ['clamav: clean'] },
  canaryFailed: {
    ...{ engine: 'clamav', address: 'unix:/x', failing: true, isChanged: true },
    cause: 'it calls eicar clean',
  },
  knownCleanAsked: { result: 'forged' },
  spoolCorrupt: { file: 'f', cause: 'c' },
  orphanRemoved: { file: 'f', ageMs: 5 },
  sweepDone: { queued: 3, added: 1, durationMs: 4 },
  fault: { where: 'session', error: new Error('x'), id },
  warned: { name: 'test-signatures', text: 't' },
  configReloaded: { result: 'applied' },
}
