// The events of scanning and deciding: verdicts, dispositions, the failure matrix, the quarantine.
import type { Verdict } from '../../scanners/scanner.ts'
import type { Events } from './events.ts'
import type { Outlets } from './tell.ts'

type ScanEvents = Pick<Events, 'scanned' | 'decided' | 'matrixActivated' | 'quarantined'>

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
    quarantined(e) {
      log.write('info', 'quarantined', e)
      journal.write('quarantined', e)
      to.quarantined.inc()
    },
  }
}

const short = (verdict: Verdict): Verdict =>
  verdict.kind === 'scored' ? { ...verdict, symbols: verdict.symbols.slice(0, SYMBOLS) } : verdict
