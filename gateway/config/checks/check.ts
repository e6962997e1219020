// What a check of the configuration is given: settings that fit their declarations, and where to tell faults.
import type { Findings, Path } from '../faults.ts'
import type { Account, Machine } from '../machine.ts'
import type { Settings } from '../shape.ts'

export type CheckContext = {
  findings: Findings
  /** The file's own values, before defaults; what was wrong is still in it. */
  value: Record<string, unknown>
  /** A value as it may be shown: as written in the file, no secrets. */
  shown(path: Path): string
  machine: Machine
  /** Whom the workers become; undefined where they stay who we are. */
  account: Account | undefined
}

/** Parts that did not fit are absent from `settings`. */
export type Check = (settings: Partial<Settings>, context: CheckContext) => void | Promise<void>
