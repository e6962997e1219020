// Every metric that events move, declared once: its name, help, labels, and how several processes' values become one.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { ATTACHMENT_KINDS } from '../../scanners/scanner.ts'

const SCAN_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const HOLD_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 300, 540]
const QUICK_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10]

const REPLY_CLASSES = ['2xx', '4xx', '5xx']
const DISPOSITIONS = ['relay', 'quarantine', 'reject', 'discard', 'defer']
const KNOWN_CLEAN = ['known', 'unknown', 'unanswered', 'forged']
const RESULTS = ['relayed', 'refused', 'deferred', 'uncertain']

/** How gauges of several processes become one. Counters and histograms are always summed. */
type Together = 'sum' | 'max' | 'min'

/** Shorthands that declare metrics in one registry, with our prefix. */
export function declarations(registry: Registry) {
  const registers = [registry]
  return {
    counter<L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      first: Record<L, string>[] = [],
    ) {
      const counter = new Counter({ name: `sallyport_${name}`, help, labelNames, registers })
      // A counter that appears with its first event hides that event from rate().
      for (const labels of first) counter.inc(labels, 0)
      return counter
    },
    gauge<L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      aggregator: Together,
    ) {
      return new Gauge({ name: `sallyport_${name}`, help, labelNames, aggregator, registers })
    },
    histogram<L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      buckets: number[],
    ) {
      return new Histogram({ name: `sallyport_${name}`, help, labelNames, buckets, registers })
    },
  }
}

function receiveInstruments(registry: Registry) {
  const { counter, gauge, histogram } = declarations(registry)
  const byClass = REPLY_CLASSES.map(reply => ({ reply }))
  return {
    connections: counter('connections_total', 'Connections accepted.', ['listener']),
    connectionsOpen: gauge('connections_open', 'Connections open now.', ['listener'], 'sum'),
    connectionsRefused: counter(
      'connections_refused_total',
      'Connections turned away before the greeting, by reason.',
      ['listener', 'reason'],
    ),
    tlsSessions: counter('tls_sessions_total', 'Sessions that went over to TLS.', [
      'listener',
      'version',
    ]),
    commandsRefused: counter(
      'commands_refused_total',
      'SMTP commands answered 4xx or 5xx, by command and reason.',
      ['command', 'reason'],
    ),
    messagesReceived: counter('messages_received_total', 'Messages whose content came whole.', []),
    bytesReceived: counter('messages_received_bytes_total', 'Octets of their content.', []),
    transferSeconds: histogram(
      'transfer_seconds',
      'Time the client took for the content.',
      [],
      HOLD_SECONDS,
    ),
    messages: counter(
      'messages_total',
      'Final dots answered, by class of reply.',
      ['reply'],
      byClass,
    ),
    holdSeconds: histogram(
      'hold_seconds',
      'Time from the final dot to its reply, by class of reply.',
      ['reply'],
      HOLD_SECONDS,
    ),
    custodyTaken: counter('custody_taken_total', 'Messages taken into custody, by reason.', [
      'reason',
    ]),
    custodySeconds: histogram(
      'custody_taking_seconds',
      'Time to make a message durable.',
      [],
      QUICK_SECONDS,
    ),
    clientsGone: counter(
      'clients_gone_total',
      'Clients lost between the final dot and its reply, by what became of the message.',
      ['state'],
      [{ state: 'dropped' }, { state: 'left' }, { state: 'custody' }],
    ),
    retriesRecognised: counter(
      'retries_recognised_total',
      'Messages sent again that had been settled before: answered without a second copy.',
      [],
    ),
  }
}

function scanInstruments(registry: Registry) {
  const { counter, gauge, histogram } = declarations(registry)
  return {
    scanSeconds: histogram(
      'scan_seconds',
      'Time of one scan, by scanner and verdict.',
      ['scanner', 'verdict'],
      SCAN_SECONDS,
    ),
    scanFailures: counter('scan_failures_total', 'Scans without a verdict, by kind of failure.', [
      'scanner',
      'failure',
    ]),
    matrixActivations: counter(
      'matrix_activations_total',
      'Times there was no verdict, by scanner, failure or reason, and what was done.',
      ['scanner', 'failure', 'action'],
    ),
    decisions: counter(
      'recipients_decided_total',
      'Recipients decided on, by disposition and policy.',
      ['disposition', 'policy'],
      DISPOSITIONS.map(disposition => ({ disposition, policy: 'none' })),
    ),
    attachments: counter(
      'attachments_total',
      'Files found in messages, by what they are.',
      ['kind'],
      [...ATTACHMENT_KINDS, 'other'].map(kind => ({ kind })),
    ),
    stripped: counter('stripped_parts_total', 'Parts replaced by a notice, once an attempt.', []),
    quarantined: counter('quarantined_messages_total', 'Messages put into the quarantine.', []),
    scannerInfo: gauge(
      'scanner_info',
      'Always 1; version and signatures of each scanner are its labels.',
      ['scanner', 'version', 'signatures'],
      'max',
    ),
    signatureAge: gauge(
      'signature_age_seconds',
      "Age of each scanner's signatures.",
      ['scanner'],
      'max',
    ),
  }
}

function relayInstruments(registry: Registry) {
  const { counter, histogram } = declarations(registry)
  return {
    relayAttempts: counter('relay_attempts_total', 'Attempts to relay a message.', ['destination']),
    relayOutcomes: counter('relay_outcomes_total', 'Recipients attempted, by what came of it.', [
      'destination',
      'result',
    ]),
    relaySeconds: histogram('relay_seconds', 'Time of one attempt to relay.', [], HOLD_SECONDS),
    relayRetries: counter('relay_retries_total', 'Further attempts put on the timetable.', []),
    notifications: counter('notifications_total', 'Delivery status notifications queued.', []),
    undeliverable: counter(
      'undeliverable_messages_total',
      'Messages kept as undeliverable because a notification could be backscatter or has no way out.',
      [],
    ),
  }
}

function aroundInstruments(registry: Registry) {
  const { counter, gauge, histogram } = declarations(registry)
  return {
    directoryLookups: counter(
      'directory_lookups_total',
      'Recipients looked up, by result, and whether the cache knew.',
      ['directory', 'result', 'cached'],
    ),
    directorySeconds: histogram(
      'directory_lookup_seconds',
      'Time of lookups the cache could not answer.',
      ['directory'],
      QUICK_SECONDS,
    ),
    engineUp: gauge('engine_up', 'Whether an engine answers.', ['engine', 'address'], 'min'),
    engineDowns: counter('engine_down_total', 'Times an engine went down.', ['engine']),
    canarySuccess: gauge(
      'canary_success',
      'Whether a canary sent past all scanners was found to be what it is.',
      ['probe'],
      'min',
    ),
    canaryEngineSuccess: gauge(
      'canary_engine_success',
      'Whether an engine passed its canaries when it last answered them.',
      ['engine', 'address'],
      'min',
    ),
    knownClean: counter(
      'known_clean_total',
      'Large parts of messages that others were asked about, by what was known of them.',
      ['result'],
      KNOWN_CLEAN.map(result => ({ result })),
    ),
    queueJobs: gauge('queue_jobs', 'Jobs in the queue, by state.', ['queue', 'state'], 'max'),
    spoolCorrupt: counter('spool_corrupt_files_total', 'Files that could not be read.', []),
    orphansRemoved: counter('spool_orphans_removed_total', 'Left-over files removed.', []),
    sweeps: histogram('sweep_seconds', 'Time of one sweep.', [], QUICK_SECONDS),
    sweepAdded: counter('sweep_jobs_added_total', 'Jobs a sweep put back into the queue.', []),
    faults: counter('faults_total', 'Exceptions caught, and programs that ended.', ['where']),
    warnings: counter('warnings_total', 'Things an administrator should know.', ['name']),
    warningActive: gauge('warning_active', 'Whether that is still so.', ['name'], 'max'),
    configReloads: counter(
      'config_reloads_total',
      'Configurations read again.',
      ['result'],
      [{ result: 'applied' }, { result: 'refused' }],
    ),
    journalLost: counter('journal_lines_lost_total', 'Journal lines that met a full disk.', []),
  }
}

export type Instruments = ReturnType<typeof createInstruments>

export const createInstruments = (registry: Registry) => ({
  ...receiveInstruments(registry),
  ...scanInstruments(registry),
  ...relayInstruments(registry),
  ...aroundInstruments(registry),
})

export { RESULTS as RELAY_RESULTS }
