// Directories: files that can be read, LDAP that can be asked.
import type { Path } from '../faults.ts'
import { parseHostPort } from '../names.ts'
import type { Settings } from '../shape.ts'
import type { Check, CheckContext } from './check.ts'
import { readWorkersFile } from './files.ts'

type Ldap = Extract<Settings['directory'][string], { ldap: unknown }>['ldap']

export const checkDirectories: Check = async ({ directory }, context) => {
  for (const [name, settings] of Object.entries(directory ?? {})) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
      const mend = 'use letters, digits, - and _ (it is a metrics label)'
      context.findings.faultAtKey(['directory', name], `\`${name}\` is not a usable name`, mend)
    }
    if ('file' in settings) {
      await readWorkersFile(settings.file, ['directory', name, 'file'], context)
    } else {
      await checkLdap(settings.ldap, ['directory', name, 'ldap'], context)
    }
  }
}

async function checkLdap(ldap: Ldap, path: Path, context: CheckContext): Promise<void> {
  const { findings, shown } = context
  for (const [i, url] of ldap.urls.entries()) {
    const at = [...path, 'urls', i]
    const match = /^(ldaps?):\/\/([^/]+)\/?$/.exec(url)
    if (!match || !parseHostPort(match[2] ?? '', 389)) {
      findings.fault(at, `${shown(at)} is not an LDAP server`, 'write `ldaps://dc1.internal:636`')
    } else if (match[1] === 'ldaps' && ldap.startTls) {
      const mend = 'write `ldap://` for StartTLS, or remove `startTls`'
      findings.fault(at, '`startTls` and `ldaps://` exclude each other', mend)
    }
  }
  if (ldap.caFile !== undefined) await readWorkersFile(ldap.caFile, [...path, 'caFile'], context)
  const hasPassword = ldap.bindPassword !== undefined || ldap.bindPasswordFile !== undefined
  if (ldap.bindDn !== undefined && !hasPassword) {
    const mend = 'add `bindPasswordFile`; a bind without one is anonymous (RFC 4513 §5.1.2)'
    findings.fault([...path, 'bindDn'], '`bindDn` has no password', mend)
  }
  if (ldap.bindDn === undefined && hasPassword) {
    const key = ldap.bindPassword === undefined ? 'bindPasswordFile' : 'bindPassword'
    findings.faultAtKey([...path, key], 'there is a password but no `bindDn`', 'add `bindDn`')
  }
  const isPlain = !ldap.startTls && ldap.urls.some(url => url.startsWith('ldap://'))
  if (hasPassword && isPlain) {
    const mend = 'write `ldaps://`, or add `startTls: true`'
    findings.warn([...path, 'urls'], 'the password goes over the network in the clear', mend)
  }
  if (ldap.filter !== undefined) checkFilter(ldap.filter, [...path, 'filter'], context)
}

function checkFilter(filter: string, path: Path, { findings, shown }: CheckContext): void {
  const problem = filterProblem(filter)
  if (problem === undefined) return
  findings.fault(path, `${shown(path)} ${problem}`, 'write a filter such as `(mail=%a)`')
}

/** What is wrong with a filter of one's own beyond its grammar, which its declaration looks at. */
export function filterProblem(filter: string): string | undefined {
  const asked = filter.replaceAll('%%', '')
  const unknown = /%[^aud]/.exec(asked)
  if (unknown) return `has \`${unknown[0]}\`, but only %a, %u, %d and %% are known`
  return /%[au]/.test(asked) ? undefined : 'asks for no address: it has neither %a nor %u'
}
