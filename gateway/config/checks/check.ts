// What a check of the configuration is given: settings that fit their declarations, and where to tell faults.
import type { Findings, Path } from '../faults.ts'
import type { Settings } from '../shape.ts'

/** What the machine is like, as far as it matters to a configuration. */
export type Machine = {
  /** Started by root, so that `user` matters. */
  isRoot: boolean
  /** The password database, for `user`. */
  passwdFile: string
  /** Addresses of this machine's interfaces. */
  ownAddresses: readonly string[]
  nowMs: number
}

export type CheckContext = {
  findings: Findings
  /** The file's own values, before defaults; what was wrong is still in it. */
  value: Record<string, unknown>
  /** A value as it may be shown: as written in the file, no secrets. */
  shown(path: Path): string
  machine: Machine
}

/** Parts that did not fit are absent from `settings`. */
export type Check = (settings: Partial<Settings>, context: CheckContext) => void | Promise<void>
