// Every setting, declared once with its unit, limit and default; editors' JSON Schema is made from this.
import { z } from 'zod'
import { ldapSettings } from '../../policies/directory/ldap.ts'
import { clamavSettings } from '../../scanners/clamav/clamav.ts'
import { commandSettings } from '../../scanners/command/command.ts'
import { icapSettings } from '../../scanners/icap/icap.ts'
import { rspamdSettings } from '../../scanners/rspamd.ts'
import { spamassassinSettings } from '../../scanners/spamassassin.ts'
import { attachments, attachmentsOverride } from './attachments.ts'
import { canary } from './canary.ts'
import { limits, retry } from './limits.ts'
import { duration, size } from './units.ts'
import { unscannable, unscannableOverride } from './unscannable.ts'

const tls = z.strictObject({
  cert: z.string().describe('PEM file with the certificate chain, our own certificate first.'),
  key: z.string().describe('PEM file with its private key, without a passphrase.'),
})

const listener = z.strictObject({
  address: z
    .string()
    .describe('IP address and port: `0.0.0.0:25`, or `[::]:25` for IPv4 and IPv6.'),
  tls: z
    .union([tls, z.array(tls).min(1).max(1000)])
    .optional()
    .describe('Offers STARTTLS. One pair, or several chosen by SNI (the first is the default).'),
  implicit: z
    .boolean()
    .default(false)
    .describe('TLS from the first octet (RFC 8314 §3.3) instead of STARTTLS.'),
  proxyProtocol: z
    .array(z.string())
    .max(1000)
    .default([])
    .describe("Networks whose PROXY protocol header is believed; nobody else's is read."),
})

const score = z.number().min(-1000).max(1000)
const tag = 'From this score on, mail carries X-Sallyport-Spam fields.'
const quarantine = 'From this score on, mail goes to the quarantine.'
const reject = 'From this score on, mail is refused with 550 5.7.1.'
const spam = z.strictObject({
  tag: score.default(5).describe(tag),
  quarantine: score.default(8).describe(quarantine),
  reject: score.default(15).describe(reject),
})
/** Not `spam.partial()`: that fills in defaults where the file's general `spam` must show through. */
const spamOverride = z.strictObject({
  tag: score.optional().describe(tag),
  quarantine: score.optional().describe(quarantine),
  reject: score.optional().describe(reject),
})

const action = z.enum(['tempfail', 'hold', 'relay', 'relayMarked', 'reject', 'quarantine'])

const failures = {
  down: 'No connection to the engine, or it broke.',
  slow: 'Its deadline passed.',
  limit: "The engine's own limits were exceeded.",
  garbled: 'A reply not understood.',
}
const matrixRow = z.strictObject({
  down: action.default('tempfail').describe(failures.down),
  slow: action.default('hold').describe(failures.slow),
  limit: action.default('tempfail').describe(failures.limit),
  garbled: action.default('tempfail').describe(failures.garbled),
})
const rowOverride = z.strictObject({
  down: action.optional().describe(failures.down),
  slow: action.optional().describe(failures.slow),
  limit: action.optional().describe(failures.limit),
  garbled: action.optional().describe(failures.garbled),
})
const matrixOf = <Row extends typeof matrixRow | typeof rowOverride>(row: Row) =>
  z.strictObject({
    clamav: row.optional().describe('What to do when ClamAV gives no verdict.'),
    rspamd: row.optional().describe('What to do when rspamd gives no verdict.'),
    spamassassin: row.optional().describe('What to do when SpamAssassin gives no verdict.'),
    icap: row.optional().describe('What to do when an ICAP service gives no verdict.'),
    command: row.optional().describe('What to do when a command-line scanner gives no verdict.'),
    attachments: row.optional().describe('What to do when attachments cannot be looked at.'),
  })
const matrix = matrixOf(matrixRow)
/** The matrix where the file says nothing. */
export const failureDefaults = matrixRow.parse({})

const domain = z.strictObject({
  nextHop: z
    .union([z.string(), z.array(z.string()).min(1).max(16)])
    .describe(
      'Where its mail goes: `smtp://`, `smtp+tls://`, `smtps://` or `lmtp://` with `host:port`, ' +
        'or `mx:example.org`. Several are tried in order.',
    ),
  directory: z
    .string()
    .optional()
    .describe('The directory that knows its recipients; without one any local part is accepted.'),
  spam: spamOverride.optional().describe('Overrides `spam` for this domain, key by key.'),
  failure: matrixOf(rowOverride)
    .optional()
    .describe('Overrides `failure` for this domain, key by key.'),
  unscannable: unscannableOverride
    .optional()
    .describe('Overrides `unscannable` for this domain, key by key.'),
  attachments: attachmentsOverride
    .optional()
    .describe('Overrides `attachments` for this domain, key by key.'),
  deferred: z
    .enum(['custody', 'tempfail'])
    .default('custody')
    .describe('When the next hop cannot take mail now: say 250 and try on, or say 451.'),
})

const cache = {
  positiveTtl: duration('0', '7d')
    .prefault('10m')
    .describe('How long a recipient that was found is believed to exist.'),
  negativeTtl: duration('0', '7d')
    .prefault('1m')
    .describe('How long a recipient that was not found is believed not to.'),
  cacheEntries: z.int().min(0).max(10_000_000).default(100_000).describe('Answers remembered.'),
}
const directory = z.union([
  z.strictObject({ ldap: ldapSettings.describe('Asks LDAP or Active Directory.'), ...cache }),
  z.strictObject({
    file: z
      .string()
      .describe(
        'A file with one address a line; `@example.org` takes a whole domain, `#` starts a ' +
          'comment. Re-read when it changes.',
      ),
    ...cache,
  }),
])

const redis = z.union([
  z.literal('embedded'),
  z.string(),
  z.strictObject({
    sentinels: z.array(z.string()).min(1).max(16).describe('The sentinels, each `host:port`.'),
    name: z.string().min(1).describe("The master's name, as the sentinels know it."),
    password: z.string().optional().describe('Better: passwordFile.'),
    passwordFile: z.string().optional().describe('A file with the password.'),
  }),
])

export const configSchema = z.strictObject({
  hostname: z.string().describe('Our name in the greeting, in EHLO and in `Received` fields.'),
  state: z.string().describe("Spool, quarantine, journal and embedded servers' files lie below."),
  spool: z
    .string()
    .optional()
    .describe('Its own key, because several gateways may share it. Otherwise `spool` in `state`.'),
  listen: z.array(listener).min(1).max(64).describe('Where we take mail.'),
  user: z.string().min(1).optional().describe('Whom the workers run as when started by root.'),
  maxMessageSize: size('1KiB', '2GiB')
    .prefault('50MiB')
    .describe('Largest content accepted; RFC 5321 §4.5.3.1.7 asks for at least 64 KiB.'),
  smtpUtf8: z.boolean().default(false).describe('Offer SMTPUTF8 (RFC 6531).'),
  postmaster: z
    .string()
    .describe('Where mail to `<postmaster>` without a domain goes (RFC 5321 §4.5.1).'),
  domains: z
    .record(z.string(), domain)
    .describe('The domains we take mail for; anything else is refused: never an open relay.'),
  directory: z
    .record(z.string(), directory)
    .default({})
    .describe('Who exists: directories by name, for `domains` to refer to.'),
  redis: redis
    .default('embedded')
    .describe(
      '`embedded`, `redis://host:6379/0`, `rediss://…`, `unix:/run/redis.sock`, or sentinels.',
    ),
  scanners: z
    .strictObject({
      clamav: z
        .union([z.literal('embedded'), clamavSettings])
        .optional()
        .describe('Viruses: `embedded` starts a private clamd, or say where clamd listens.'),
      rspamd: rspamdSettings.optional().describe('Spam score, SPF and DKIM by rspamd.'),
      spamassassin: spamassassinSettings.optional().describe("Spam score by SpamAssassin's spamd."),
      icap: z
        .record(z.string(), icapSettings)
        .optional()
        .describe('Viruses: antivirus services that speak ICAP, by a name of your own.'),
      command: z
        .record(z.string(), commandSettings)
        .optional()
        .describe('Viruses: command-line scanners, by a name of your own.'),
    })
    .default({})
    .describe('Who looks at every message; each one configured must give its verdict.'),
  canary: canary
    .prefault({})
    .describe(
      'EICAR, EICAR in a zip, GTUBE and a clean message go through the scanners, at start and ' +
        'every few minutes; an engine that is wrong about them counts as `down`.',
    ),
  spam: spam.prefault({}).describe("What rspamd's or SpamAssassin's score leads to."),
  attachments: attachments
    .optional()
    .describe('Which files are let in. Without it nobody looks; `{}` is the list we ship.'),
  failure: matrix
    .prefault({})
    .describe(
      'The failure matrix: what to do when a scanner gives no verdict, by kind of failure.',
    ),
  unscannable: unscannable
    .prefault({})
    .describe(
      'What becomes of mail that nobody can look into whole, by reason; the strictest wins.',
    ),
  quarantine: z
    .strictObject({
      keepDays: z
        .number()
        .min(0)
        .max(36_500)
        .default(30)
        .describe('Days until what lies in it is removed; 0 keeps it for ever.'),
    })
    .prefault({})
    .describe('A Maildir below `state`.'),
  hold: z
    .strictObject({
      seconds: z
        .number()
        .min(0)
        .max(540)
        .default(30)
        .describe('How long the client waits after the dot; 0 takes custody at once.'),
    })
    .prefault({})
    .describe('Holding the dot: answering only when the fate of the message is known.'),
  retry: retry.prefault({}).describe('When mail in custody is tried again.'),
  notifications: z
    .strictObject({ nextHop: z.string().describe('As in `domains`, one only.') })
    .optional()
    .describe('The way out for DSNs; without it undeliverable mail is quarantined.'),
  relay: z
    .strictObject({
      concurrency: z
        .int()
        .min(1)
        .max(1000)
        .default(20)
        .describe('Connections at once to one next hop.'),
      caFile: z
        .string()
        .optional()
        .describe("PEM file of the authorities to trust; the system's own where absent."),
    })
    .prefault({})
    .describe('The way in, to the next hops.'),
  dns: z
    .strictObject({ servers: z.array(z.string()).min(1).max(8).describe('`address:port`.') })
    .optional()
    .describe("For policies and SPF; next-hop names use the system's resolver."),
  http: z
    .strictObject({
      address: z.string().default('127.0.0.1:9090').describe('IP address and port.'),
    })
    .optional()
    .describe('/metrics, /health/live and /health/ready.'),
  limits: limits.prefault({}).describe('What one client, and all of them, may ask of us.'),
  processes: z
    .union([
      z.literal('auto'),
      z.strictObject({
        receive: z.int().min(1).max(64).default(1).describe('Processes that talk to clients.'),
        work: z.int().min(1).max(64).default(1).describe('Processes that scan and relay.'),
      }),
    ])
    .default('auto')
    .describe("Worker processes: a number of each kind, or `auto` by the machine's cores."),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'])
        .default('info')
        .describe('The least of what is logged.'),
    })
    .prefault({})
    .describe('JSON lines on standard output.'),
})

export type Config = z.infer<typeof configSchema> & {
  /** Always set once read: `state`/spool where the file has none. */
  spool: string
}
export type Listener = Config['listen'][number]
export type DomainConfig = Config['domains'][string]
export type DirectoryConfig = Config['directory'][string]
export type Limits = Config['limits']
