// Looks at the scan engines every few seconds: which answer, and how old their signatures are.
import type { EngineState, Scanner } from '../../scanners/scanner.ts'
import { showScanner } from '../observe/scanner-metrics.ts'
import type { Observed } from './instance.ts'

const LOOK_MS = 5000

/** Those who need no engine are never down. */
const isDown = (engines: readonly EngineState[]): boolean =>
  engines.length > 0 && engines.every(engine => !engine.up)

export type EngineWatch = {
  /** Engines of which no address answers. */
  reasons(): string[]
} & Disposable

/** `tell`: only one process tells of changes, each has its own view for readiness. */
export function createEngineWatch(
  scanners: () => readonly Scanner[],
  { events, metrics }: Observed,
  tell: boolean,
): EngineWatch {
  const known = new Map<string, boolean>()
  const warnings = new Map<string, string>()

  function compare(scanner: Scanner): void {
    for (const { address, up } of scanner.engines()) {
      const key = `${scanner.name} ${address}`
      if (known.get(key) === up) continue
      known.set(key, up)
      if (tell) events.engineChanged({ engine: scanner.name, address, up })
    }
  }

  function warn(name: string, text: string | undefined): void {
    const before = warnings.get(name)
    if (before === text) return
    if (text === undefined) warnings.delete(name)
    else warnings.set(name, text)
    const over = text === undefined ? { over: true } : {}
    events.warned({ name: `${name}-set-up`, text: text ?? `no longer: ${before}`, ...over })
  }

  async function look(scanner: Scanner): Promise<void> {
    const about = await scanner.version?.().catch(() => undefined)
    compare(scanner)
    if (!about || !tell) return
    warn(scanner.name, about.warning)
    await showScanner(metrics, scanner.name, about)
  }

  const lookAtAll = () => {
    for (const scanner of scanners()) void look(scanner)
  }
  lookAtAll()
  const timer = setInterval(lookAtAll, LOOK_MS)
  return {
    reasons: () =>
      scanners()
        .filter(scanner => isDown(scanner.engines()))
        .map(scanner => `${scanner.name} does not answer`),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
