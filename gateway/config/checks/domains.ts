// The domains we take mail for: valid names, each once, with a directory that exists and ordered thresholds.
import type { Path } from '../faults.ts'
import { domainName, mailboxDomain } from '../names.ts'
import { nearestName } from '../nearest.ts'
import { isRecord } from '../parse.ts'
import type { Settings } from '../shape.ts'
import type { Check, CheckContext } from './check.ts'

/** The keys of `domains` as the rest of the gateway looks them up: lower case, A-labels. */
export function normaliseDomains(domains: Settings['domains']): Settings['domains'] {
  return Object.fromEntries(
    Object.entries(domains).map(([name, settings]) => [domainName(name) ?? name, settings]),
  )
}

export const checkDomains: Check = (settings, { findings, value }) => {
  const { domains } = settings
  if (domains === undefined) return
  const written = isRecord(value.domains) ? Object.keys(value.domains) : []
  const directories = isRecord(value.directory) ? Object.keys(value.directory) : []
  if (written.length === 0) {
    const mend = 'add `example.org: { nextHop: "smtp://mail.internal:25" }` below `domains`'
    findings.fault(['domains'], 'there is no domain: all mail would be refused', mend)
  }
  const seen = new Map<string, string>()
  for (const name of written) {
    const path = ['domains', name]
    const ascii = domainName(name)
    if (ascii === undefined) {
      const mend = name.includes('*')
        ? 'list each domain by name; there are no wildcards'
        : 'write a domain such as `example.org`'
      findings.faultAtKey(path, `\`${name}\` is not a domain name`, mend)
      continue
    }
    const other = seen.get(ascii)
    seen.set(ascii, name)
    if (other !== undefined) {
      findings.faultAtKey(path, `\`${name}\` is the same domain as \`${other}\``, 'keep one')
    }
    const directory = domains[name]?.directory
    if (directory === undefined || directories.includes(directory)) continue
    const meant = nearestName(directory, directories)
    const mend = meant ? `write \`${meant}\`` : `add \`${directory}:\` below \`directory\``
    findings.fault([...path, 'directory'], `there is no directory \`${directory}\``, mend)
  }
}

export const checkPostmaster: Check = ({ postmaster }, { findings, shown, value }) => {
  if (postmaster === undefined) return
  // As written: a domain with a fault of its own is still there.
  const { domains } = value
  const domain = mailboxDomain(postmaster)
  if (domain === undefined) {
    const mend = 'write an address such as `postmaster@example.org`'
    findings.fault(['postmaster'], `${shown(['postmaster'])} is not an address`, mend)
  } else if (isRecord(domains) && !Object.keys(domains).some(name => domainName(name) === domain)) {
    const problem = `\`${domain}\` is not among \`domains\`: mail to <postmaster> goes nowhere`
    findings.warn(['postmaster'], problem, 'write an address of one of our domains')
  }
}

export const checkThresholds: Check = (settings, context) => {
  if (!settings.spam) return
  checkOrder(settings.spam, ['spam'], context)
  for (const [name, { spam }] of Object.entries(settings.domains ?? {})) {
    if (!spam) continue
    const given = Object.entries(spam).filter(([, score]) => score !== undefined)
    const merged = { ...settings.spam, ...Object.fromEntries(given) }
    checkOrder(merged, ['domains', name, 'spam'], context)
  }
}

function checkOrder(spam: Settings['spam'], path: Path, { findings }: CheckContext): void {
  const { tag, quarantine, reject } = spam
  if (tag <= quarantine && quarantine <= reject) return
  const problem = `tag ${tag}, quarantine ${quarantine}, reject ${reject} are out of order`
  findings.fault(path, problem, 'write them so that tag <= quarantine <= reject')
}
