// Looks at the scan engines every few seconds: which answer, and how old their signatures are.
import type { EngineState, Scanner } from '../../scanners/scanner.ts'
import { showScanner } from '../observe/scanner-metrics.ts'
import type { Canary } from './canary.ts'
import type { Observed } from './instance.ts'

const LOOK_MS = 5000
/** While an engine has still to pass its canary. */
const RESTLESS_LOOK_MS = 1000

/** Those who need no engine are never down. */
const isDown = (engines: readonly EngineState[]): boolean =>
  engines.length > 0 && engines.every(engine => !engine.up)

export type EngineWatch = {
  /** Engines of which no address answers, or none as it must. */
  reasons(): string[]
} & Disposable

/** `tell`: only one process tells of changes, each has its own view for readiness. */
export function createEngineWatch(
  scanners: () => readonly Scanner[],
  canary: Canary,
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
    if (!about) return
    canary.isNow(scanner, `${about.version} ${about.signatures ?? ''}`)
    if (!tell) return
    warn(scanner.name, about.warning)
    await showScanner(metrics, scanner.name, about)
  }

  let timer: NodeJS.Timeout | undefined
  let over = false
  async function lookAtAll(): Promise<void> {
    await Promise.all(scanners().map(look))
    for (const scanner of scanners()) compare(scanner)
    // A hung engine keeps its canary waiting for long: the others are looked at meanwhile.
    void canary.look(scanners()).then(() => scanners().forEach(compare))
    if (!over) timer = setTimeout(lookAtAll, canary.isRestless() ? RESTLESS_LOOK_MS : LOOK_MS)
  }
  void lookAtAll()
  return {
    reasons() {
      const failing = canary.reasons(scanners())
      const silent = scanners()
        .filter(({ name }) => !failing.some(reason => reason.startsWith(`${name} `)))
        .filter(scanner => isDown(scanner.engines()))
      return [...failing, ...silent.map(scanner => `${scanner.name} does not answer`)]
    },
    [Symbol.dispose]() {
      over = true
      clearTimeout(timer)
    },
  }
}
