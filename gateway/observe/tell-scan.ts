// The events of scanning and deciding: verdicts, dispositions, the failure matrix, the quarantine.
import type { Verdict } from '../../scanners/scanner.ts'
import type { Events } from './events.ts'
import type { Outlets } from './tell.ts'

type ScanEvents = Pick<
  Events,
  'scanned' | 'decided' | 'matrixActivated' | 'quarantined' | 'stripped'
>

/** Symbols of a spam scanner kept in a line. */
const SYMBOLS = 40

export function tellScan({ log, journal, metrics }: Outlets): ScanEvents {
  const to = metrics.instruments
  return {
    scanned({ id, report }) {
      const { scanner, durationMs, authentication } = report
      const { kind: verdict, ...found } = short(report.verdict)
      const line = { id, scanner, verdict, ...found, ...authentication, durationMs }
      log.write(
        verdict === 'failed' ? 'warn' : verdict === 'clean' ? 'debug' : 'info',
        'scanned',
        line,
      )
      journal.write('scanned', line)
      to.scanSeconds.observe({ scanner, verdict }, durationMs / 1000)
      if (report.verdict.kind === 'failed') {
        to.scanFailures.inc({ scanner, failure: report.verdict.failure })
      }
      if (report.verdict.kind === 'attachments')
        for (const kind of kindsIn(report.verdict)) to.attachments.inc({ kind })
    },
    decided(e) {
      log.write(e.disposition === 'relay' ? 'debug' : 'info', 'decided', e)
      journal.write('decided', e)
      const policy = metrics.bounded('policy', e.policy)
      to.decisions.inc({ disposition: e.disposition, policy })
    },
    matrixActivated(e) {
      log.write('warn', 'matrixActivated', e)
      journal.write('matrixActivated', e)
      to.matrixActivations.inc({ scanner: e.scanner, failure: e.failure, action: e.action })
    },
    stripped(e) {
      log.write('info', 'stripped', e)
      journal.write('stripped', e)
      to.stripped.inc(e.parts)
    },
    quarantined(e) {
      log.write('info', 'quarantined', e)
      journal.write('quarantined', e)
      to.quarantined.inc()
    },
  }
}

/** Files told of in a line. */
const FILES = 10

function short(verdict: Verdict): { kind: Verdict['kind'] } & Record<string, unknown> {
  if (verdict.kind === 'scored') return { ...verdict, symbols: verdict.symbols.slice(0, SYMBOLS) }
  if (verdict.kind !== 'attachments') return verdict
  const { kind, found, unread } = verdict
  // Those that are something come first.
  const files = found.toSorted((a, b) => b.kinds.length - a.kinds.length).slice(0, FILES)
  return {
    ...{ kind, count: found.length },
    ...(unread === undefined ? {} : { unread }),
    files: files.map(({ names, kinds }) => `${names[0] ?? 'unnamed'} (${kinds.join(', ')})`),
  }
}

/** One for each file and what it is; a file that is nothing in particular is `other`. */
function* kindsIn({ found }: Extract<Verdict, { kind: 'attachments' }>): Generator<string> {
  for (const { kinds } of found) yield* kinds.length > 0 ? kinds : ['other']
}
