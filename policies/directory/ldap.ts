// Asks an LDAP directory whether a mailbox exists. Zero hits count as "unknown" only when the connection is proven good.
import { readFile } from 'node:fs/promises'
import type { Filter } from 'ldapjs'
import { z } from 'zod'
import { isAskable, spellings } from './address.ts'
import type { Directory, Lookup } from './directory.ts'
import type { LdapTarget } from './ldap-connection.ts'
import { FilterError, fillFilter, parseFilter } from './ldap-filter.ts'
import { createLdapServer, type LdapServer } from './ldap-server.ts'

/** `directory.<name>.ldap` in the configuration. */
export const ldapSettings = z.strictObject({
  urls: z
    .array(z.string())
    .min(1)
    .max(16)
    .describe('`ldap://host:389` or `ldaps://host`; tried in order, two or more give fail-over.'),
  startTls: z
    .boolean()
    .default(false)
    .describe('Upgrade `ldap://` connections with StartTLS (RFC 4511 §4.14), always verified.'),
  caFile: z
    .string()
    .optional()
    .describe("PEM file of the authorities to trust; the system's own where absent."),
  base: z
    .string()
    .describe('DN below which mailboxes are searched. We must be able to read it ourselves.'),
  bindDn: z.string().optional().describe('Whom to bind as; anonymous where absent.'),
  bindPassword: z.string().optional().describe('Its password; better in a file of its own.'),
  bindPasswordFile: z
    .string()
    .optional()
    .describe('File with the password, read again at each connect.'),
  schema: z
    .enum(['inetOrgPerson', 'activeDirectory', 'qmailLdap', 'courier'])
    .default('inetOrgPerson')
    .describe('Which attributes hold addresses; `filter` overrides.'),
  filter: z
    .string()
    .superRefine((text, context) => {
      try {
        parseFilter(text)
      } catch (error) {
        if (!(error instanceof FilterError)) throw error
        context.addIssue({ code: 'custom', message: `not an RFC 4515 filter: ${error.message}` })
      }
    })
    .optional()
    .describe(
      'RFC 4515 with `%a` address, `%u` local part, `%d` domain, each escaped; `%%` is a percent sign.',
    ),
  connections: z.int().min(1).max(16).default(2).describe('Connections per server.'),
  deadlineMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('Milliseconds one lookup may take, over all servers.'),
})
export type LdapSettings = z.infer<typeof ldapSettings>

/** Where each kind of directory keeps a mailbox's addresses. */
export const SCHEMA_FILTERS: Record<LdapSettings['schema'], string> = {
  inetOrgPerson: '(mail=%a)',
  /** The primary address is written SMTP:, others smtp:; the attribute ignores case. */
  activeDirectory: '(|(mail=%a)(proxyAddresses=smtp:%a))',
  /** `noaccess` keeps people from reading their mail, not mail from them. */
  qmailLdap:
    '(&(|(mail=%a)(mailAlternateAddress=%a))(!(accountStatus=disabled))(!(accountStatus=deleted)))',
  /** Accounts (CourierMailAccount) and aliases (CourierMailAlias) both keep the address in `mail`. */
  courier: '(mail=%a)',
}

/** Told when a server starts or ceases to answer. */
export type ServerChange = { address: string; up: boolean; cause?: string }

/**
 * Connects when first asked. Rejects where the settings can never work: a base that is no DN, a filter that is none, an
 * unreadable CA file, or a `bindDn` without a password, which servers take for an anonymous bind (RFC 4513 §5.1.2).
 */
export async function createLdapDirectory(
  name: string,
  settings: LdapSettings,
  onChange: (change: ServerChange) => void = () => {},
): Promise<Directory> {
  const { default: ldapjs } = await import('ldapjs')
  const template = parseFilter(settings.filter ?? SCHEMA_FILTERS[settings.schema])
  ldapjs.parseDN(settings.base)
  const common = await targetOf(settings)
  const servers = settings.urls.map(url =>
    createLdapServer(ldapjs, { ...common, url }, { connections: settings.connections, onChange }),
  )
  const filterFor = (address: string): Filter => {
    const filters = spellings(address).map(spelling => fillFilter(ldapjs, template, spelling))
    const [only] = filters
    return only !== undefined && filters.length === 1 ? only : new ldapjs.OrFilter({ filters })
  }
  return {
    name,
    async lookup(address) {
      if (!isAskable(address)) return { existence: 'unknown', cached: false }
      return askInTurn(servers, filterFor(address), settings.deadlineMs)
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) server.close()
    },
  }
}

async function targetOf(settings: LdapSettings): Promise<Omit<LdapTarget, 'url'>> {
  const { bindDn, base, startTls, caFile } = settings
  const tls = caFile === undefined ? {} : { ca: await readFile(caFile) }
  if (bindDn === undefined) return { base, startTls, tls }
  const bindPassword = async () => {
    const password = (await passwordFrom(settings)).replace(/\r?\n$/, '')
    if (password === '') throw new Error(`no password for ${bindDn}`)
    return password
  }
  await bindPassword()
  return { base, startTls, tls, bindDn, bindPassword }
}

/** The file, for a changed password to count; what it held at start where this process may not read it. */
async function passwordFrom({ bindPassword, bindPasswordFile }: LdapSettings): Promise<string> {
  if (bindPasswordFile === undefined) return bindPassword ?? ''
  try {
    return await readFile(bindPasswordFile, 'utf8')
  } catch (error) {
    if (bindPassword === undefined) throw error
    return bindPassword
  }
}

/** Each server that is not resting gets its share of the time that is left. */
async function askInTurn(
  servers: LdapServer[],
  filter: Filter,
  deadlineMs: number,
): Promise<Lookup> {
  const until = Date.now() + deadlineMs
  const causes: string[] = []
  for (const [i, server] of servers.entries()) {
    const left = until - Date.now()
    if (left <= 0) break
    if (!server.admits()) {
      causes.push(`${server.address}: rests after: ${server.lastCause}`)
      continue
    }
    const answer = await server.ask(filter, Math.ceil(left / (servers.length - i)))
    if (answer.existence !== 'unavailable') return { existence: answer.existence, cached: false }
    causes.push(`${server.address}: ${answer.cause}`)
  }
  return { existence: 'unavailable', cached: false, cause: causes.join(' | ').slice(0, 1000) }
}
