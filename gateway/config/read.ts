// Reads the one configuration file, checks it whole, and tells every fault with its line. Starts nothing.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { checkAntivirus } from './checks/antivirus.ts'
import { checkAttachments } from './checks/attachments.ts'
import type { Check, CheckContext } from './checks/check.ts'
import { checkDirectories } from './checks/directories.ts'
import {
  checkDomains,
  checkPostmaster,
  checkThresholds,
  normaliseDomains,
} from './checks/domains.ts'
import {
  checkMatrix,
  checkRedis,
  checkResolvers,
  checkScanners,
  checkTrust,
  checkUnscannable,
} from './checks/engines.ts'
import { checkHostname, checkListeners, checkUser, workersAccount } from './checks/listeners.ts'
import { checkNextHops } from './checks/next-hops.ts'
import { checkHold, checkLimits, checkRetry } from './checks/times.ts'
import { type Fault, inOrder, type Path, wholeFileFault } from './faults.ts'
import { type Machine, thisMachine } from './machine.ts'
import { parseConfig } from './parse.ts'
import type { Config } from './schema.ts'
import { readSecrets } from './secrets.ts'
import { type Settings, settingsThatFit, shown } from './shape.ts'

export type { Fault } from './faults.ts'

export type ReadConfig =
  | { config: Config; warnings: Fault[] }
  | { faults: Fault[]; warnings: Fault[] }

const CHECKS: readonly Check[] = [
  checkHostname,
  checkListeners,
  checkUser,
  checkDomains,
  checkPostmaster,
  checkNextHops,
  checkThresholds,
  checkDirectories,
  checkScanners,
  checkAntivirus,
  checkAttachments,
  checkMatrix,
  checkUnscannable,
  checkRedis,
  checkResolvers,
  checkTrust,
  checkRetry,
  checkHold,
  checkLimits,
  readSecrets,
]

/**
 * Answers the configuration, with relative paths resolved against the file's folder and secrets read, or
 * all faults at once. Never rejects for what is in the file.
 */
export async function readConfig(
  file: string,
  env: NodeJS.ProcessEnv = process.env,
  machine: Machine = thisMachine(),
): Promise<ReadConfig> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    const fault = wholeFileFault(file, `can't be read (${code})`, 'name the file with --config')
    return { faults: [fault], warnings: [] }
  }
  const parsed = parseConfig(file, text, env)
  if ('faults' in parsed) return { faults: inOrder(parsed.faults), warnings: [] }
  const { value, written, findings } = parsed
  const settings = settingsThatFit(value, written, findings)
  resolvePaths(settings, path.dirname(path.resolve(file)))
  const account = await workersAccount(settings.user, machine)
  const showing = (at: Path) => shown({ written }, at)
  const context: CheckContext = { findings, value, machine, account, shown: showing }
  for (const check of CHECKS) await check(settings, context)
  const warnings = inOrder(findings.warnings)
  if (findings.faults.length > 0) return { faults: inOrder(findings.faults), warnings }
  return { config: complete(settings as Settings), warnings }
}

const complete = (settings: Settings): Config => ({
  ...settings,
  domains: normaliseDomains(settings.domains),
  spool: settings.spool ?? path.join(settings.state, 'spool'),
})

function resolvePaths(settings: Partial<Settings>, folder: string): void {
  const here = (name: string) => path.resolve(folder, name)
  if (settings.state !== undefined) settings.state = here(settings.state)
  if (settings.spool !== undefined) settings.spool = here(settings.spool)
  for (const pair of settings.listen?.flatMap(listener => listener.tls ?? []) ?? []) {
    pair.cert = here(pair.cert)
    pair.key = here(pair.key)
  }
  for (const directory of Object.values(settings.directory ?? {})) {
    if ('file' in directory) directory.file = here(directory.file)
    else resolveKeys(directory.ldap, here)
  }
  for (const part of [settings.relay, settings.redis, settings.scanners?.rspamd]) {
    if (typeof part === 'object') resolveKeys(part, here)
  }
}

/** `caFile`, `bindPasswordFile`, `passwordFile`: every setting that ends so names a file. */
function resolveKeys(part: object, here: (name: string) => string): void {
  for (const [key, value] of Object.entries(part)) {
    if (key.endsWith('File') && typeof value === 'string')
      Object.assign(part, { [key]: here(value) })
  }
}
