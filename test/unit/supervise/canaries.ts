// A canary for the tests, which keeps what it told.
import { type Canary, createCanary } from '../../../gateway/supervise/canary.ts'
import { scanAll } from '../../../scanners/scan-all.ts'
import type { Report, Scanner, Verdict } from '../../../scanners/scanner.ts'
import type { Messages } from '../scanners/fixtures.ts'

export type Told = { passed: Record<string, boolean>; failing: Record<string, boolean> }

export function toldCanary(
  folder: string,
  settings = { everySeconds: 300, gtube: true },
): Canary & Told {
  const told: Told = { passed: {}, failing: {} }
  const policyFor = (reports: readonly Report[]) =>
    reports.some(({ verdict }) => verdict.kind === 'infected') ? 'infected' : 'other'
  const canary = createCanary({
    folder,
    settings: () => settings,
    policyFor,
    events: {
      canaryAnswered: e => {
        told.passed[e.probe] = e.passed
      },
      canaryFailed: e => {
        told.failing[e.address] = e.failing
      },
    },
  })
  return { ...canary, ...told }
}

export async function judged(
  spool: Messages,
  scanner: Scanner,
  content: Buffer,
): Promise<Verdict | undefined> {
  const [report] = await scanAll([scanner], await spool.write(content))
  return report?.verdict
}

/** What was told of the virus canaries. */
export const whether = (passed: boolean) => ({ eicar: passed, 'eicar-zip': passed, clean: passed })
