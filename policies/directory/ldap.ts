// Asks an LDAP directory whether a mailbox exists. Zero hits count as "unknown" only when the connection is proven good.
import { z } from 'zod'

/** `directory.<name>.ldap` in the configuration. */
export const ldapSettings = z.strictObject({
  /** `ldap://host:389` or `ldaps://host`; tried in order, two or more give fail-over. */
  urls: z.array(z.string()).min(1).max(16),
  /** Upgrade `ldap://` connections with StartTLS (RFC 4511 §4.14). */
  startTls: z.boolean().default(false),
  /** PEM file of the authorities to trust; the system's own where absent. */
  caFile: z.string().optional(),
  base: z.string(),
  bindDn: z.string().optional(),
  bindPassword: z.string().optional(),
  bindPasswordFile: z.string().optional(),
  /** Which attributes hold addresses; `filter` overrides. */
  schema: z
    .enum(['inetOrgPerson', 'activeDirectory', 'qmailLdap', 'courier'])
    .default('inetOrgPerson'),
  /** RFC 4515 with `%a` address, `%u` local part, `%d` domain, each escaped for you. */
  filter: z.string().optional(),
  /** Connections per server. */
  connections: z.int().min(1).max(16).default(2),
  /** Milliseconds one lookup may take, over all servers. */
  deadlineMs: z.int().min(100).max(60_000).default(10_000),
})
export type LdapSettings = z.infer<typeof ldapSettings>
