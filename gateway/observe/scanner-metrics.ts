// Which engines answer, their versions and the age of their signatures: asked of the scanners themselves.
import type { Scanner } from '../../scanners/scanner.ts'
import type { Metrics } from './metrics.ts'

/** Versions are asked for at most this often, and not waited for. */
const VERSION_LOOK_MS = 60_000

/** Only where scanners live: in the processes that scan. */
export function watchScanners(metrics: Metrics, scanners: readonly Scanner[]): void {
  const to = metrics.instruments
  for (const scanner of scanners) {
    let asked = 0
    const askVersion = async () => {
      asked = Date.now()
      const found = await scanner.version?.()
      if (found === undefined) return
      const { version, signatures = '', signatureAgeSeconds } = found
      // One series a scanner: yesterday's signatures are no longer so.
      const { values } = await to.scannerInfo.get()
      for (const { labels } of values) {
        if (labels.scanner === scanner.name) to.scannerInfo.remove({ ...labels })
      }
      to.scannerInfo.set({ scanner: scanner.name, version, signatures }, 1)
      if (signatureAgeSeconds !== undefined) {
        to.signatureAge.set({ scanner: scanner.name }, signatureAgeSeconds)
      }
    }
    metrics.onCollect(() => {
      for (const { address, up } of scanner.engines()) {
        const bounded = metrics.bounded('engine-address', address)
        to.engineUp.set({ engine: scanner.name, address: bounded }, up ? 1 : 0)
      }
      if (Date.now() - asked > VERSION_LOOK_MS) askVersion().catch(() => undefined)
    })
  }
}
