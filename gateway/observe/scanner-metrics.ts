// What a scanner says of itself, as metrics: one version and one signature age a scanner.
import type { About } from '../../scanners/scanner.ts'
import type { Metrics } from './metrics.ts'

/** Replaces what was shown of this scanner: yesterday's signatures must not stay as a series of their own. */
export async function showScanner(metrics: Metrics, scanner: string, about: About): Promise<void> {
  const { scannerInfo, signatureAge } = metrics.instruments
  const { version, signatures = '', signatureAgeSeconds } = about
  for (const { labels } of (await scannerInfo.get()).values) {
    if (labels.scanner === scanner) scannerInfo.remove({ ...labels })
  }
  scannerInfo.set({ scanner, version, signatures }, 1)
  if (signatureAgeSeconds === undefined) signatureAge.remove({ scanner })
  else signatureAge.set({ scanner }, signatureAgeSeconds)
}
