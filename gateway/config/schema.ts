// Every setting, declared once with its unit, limit and default; editors' JSON Schema is made from this.
import { z } from 'zod'
import { ldapSettings } from '../../policies/directory/ldap.ts'
import { clamavSettings } from '../../scanners/clamav.ts'
import { rspamdSettings } from '../../scanners/rspamd.ts'
import { spamassassinSettings } from '../../scanners/spamassassin.ts'
import { duration, size } from './units.ts'

const tls = z.strictObject({
  /** PEM file with the certificate chain. */
  cert: z.string(),
  /** PEM file with the private key. */
  key: z.string(),
})

const listener = z.strictObject({
  /** `0.0.0.0:25`, `[::]:25`. */
  address: z.string(),
  /** One pair, or several chosen by SNI (the first is the default). Makes the listener offer STARTTLS. */
  tls: z.union([tls, z.array(tls).min(1).max(1000)]).optional(),
  /** TLS from the first octet (RFC 8314 §3.3) instead of STARTTLS. */
  implicit: z.boolean().default(false),
  /** Networks whose PROXY protocol header is believed; nobody else's is read. */
  proxyProtocol: z.array(z.string()).default([]),
})

const spam = z.strictObject({
  /** From this score on, relayed mail carries `X-Sallyport-Spam` fields. */
  tag: z.number().default(5),
  /** From this score on, mail goes to the quarantine. */
  quarantine: z.number().default(8),
  /** From this score on, mail is refused with 550 5.7.1. */
  reject: z.number().default(15),
})

const action = z.enum(['tempfail', 'hold', 'relay', 'relayMarked', 'reject', 'quarantine'])

/** What to do when a scanner gives no verdict, by kind of failure. */
const matrixRow = z.strictObject({
  down: action.default('tempfail'),
  slow: action.default('hold'),
  limit: action.default('tempfail'),
  garbled: action.default('tempfail'),
})
const matrix = z.strictObject({
  clamav: matrixRow.optional(),
  rspamd: matrixRow.optional(),
  spamassassin: matrixRow.optional(),
})

const domain = z.strictObject({
  /** Where its mail goes: `smtp://`, `smtp+tls://`, `smtps://`, `lmtp://` and `host:port`, or `mx:example.org`; several are tried in order. */
  nextHop: z.union([z.string(), z.array(z.string()).min(1).max(16)]),
  /** Name of the directory that knows its recipients; without it every local part is accepted. */
  directory: z.string().optional(),
  /** Overrides `spam` for this domain, key by key. */
  spam: spam.partial().optional(),
  /** Overrides `failure` for this domain, scanner by scanner. */
  failure: matrix.optional(),
  /** What the client hears when the next hop can't take the mail now: 250 and we try on, or 451. */
  deferred: z.enum(['custody', 'tempfail']).default('custody'),
})

const cache = {
  /** How long a recipient found is believed. */
  positiveTtl: duration.default(600_000),
  /** How long a recipient not found is believed. */
  negativeTtl: duration.default(60_000),
  /** Entries kept. */
  cacheEntries: z.int().min(0).max(10_000_000).default(100_000),
}
const directory = z.union([
  z.strictObject({ ldap: ldapSettings, ...cache }),
  z.strictObject({
    /** A file with one address a line; `@example.org` takes a whole domain, `#` starts a comment. Re-read when it changes. */
    file: z.string(),
    ...cache,
  }),
])

const redis = z.union([
  z.literal('embedded'),
  /** `redis://host:6379/0`, `rediss://…`, `unix:/run/redis.sock`. */
  z.string(),
  z.strictObject({
    sentinels: z.array(z.string()).min(1),
    name: z.string(),
    password: z.string().optional(),
  }),
])

const limits = z.strictObject({
  /** Client networks without per-client limits. */
  exempt: z.array(z.string()).default([]),
  /** Connections at once, over all listeners of one receive process. */
  connections: z.int().min(1).max(100_000).default(2000),
  /** Connections at once from one client address. */
  connectionsPerClient: z.int().min(1).max(100_000).default(50),
  /** Recipients in one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100). */
  recipients: z.int().min(1).max(100_000).default(1000),
  /** Refused commands in one session before 421. */
  errors: z.int().min(1).max(1000).default(20),
  /** Idle time before 421 (RFC 5321 §4.5.3.2.7). */
  idle: duration.default(300_000),
  /** Time one DATA may take in all. */
  data: duration.default(1_800_000),
  /** Octets per second a DATA must keep, measured over each minute. */
  dataRate: z.int().min(0).default(100),
  /** `Received` fields before a message counts as looping (RFC 5321 §6.3). */
  hops: z.int().min(1).max(1000).default(100),
  /** Octets of the whole header section. */
  headerSection: size.default(262_144),
  /** Header fields in the header section. */
  headerFields: z.int().min(10).max(100_000).default(1000),
  /** Lines one folded header field may have. */
  headerFolds: z.int().min(10).max(100_000).default(1000),
  /** Content the spool's file system must have free for mail to be accepted. */
  spoolFree: size.default(104_857_600),
})

const retry = z.strictObject({
  /** Wait after the first failed attempt; doubled each time, with jitter. */
  first: duration.default(120_000),
  /** Longest wait between attempts. */
  longest: duration.default(14_400_000),
  /** When we give up and notify the sender (RFC 5321 §4.5.4.1: 4–5 days). */
  expire: duration.default(432_000_000),
})

export const configSchema = z.strictObject({
  /** Our name in the greeting, in EHLO and in `Received` fields. */
  hostname: z.string(),
  /** Spool, quarantine, journal and embedded servers' files live below it. */
  state: z.string(),
  /** Its own key, because several gateways may share it. */
  spool: z.string().optional(),
  listen: z.array(listener).min(1).max(64),
  /** Whom the workers run as when started by root. */
  user: z.string().optional(),
  maxMessageSize: size.default(52_428_800),
  /** Offer SMTPUTF8 (RFC 6531). */
  smtpUtf8: z.boolean().default(false),
  /** Where mail to `<postmaster>` without a domain goes (RFC 5321 §4.5.1). */
  postmaster: z.string(),
  /** The domains we take mail for; anything else is refused. */
  domains: z.record(z.string(), domain),
  directory: z.record(z.string(), directory).default({}),
  redis: redis.default('embedded'),
  scanners: z
    .strictObject({
      clamav: z.union([z.literal('embedded'), clamavSettings]).optional(),
      rspamd: rspamdSettings.optional(),
      spamassassin: spamassassinSettings.optional(),
    })
    .default({}),
  spam: spam.prefault({}),
  /** What to do when a scanner gives no verdict: the failure matrix. */
  failure: matrix.prefault({}),
  quarantine: z.strictObject({ keepDays: z.number().min(0).default(30) }).prefault({}),
  hold: z
    .strictObject({
      /** How long the client waits after the dot; 0 takes custody at once. At most 540. */
      seconds: z.number().min(0).max(540).default(30),
    })
    .prefault({}),
  retry: retry.prefault({}),
  /** The way out for DSNs; without it undeliverable mail is quarantined. */
  notifications: z.strictObject({ nextHop: z.string() }).optional(),
  relay: z
    .strictObject({
      /** Connections at once to one next hop. */
      concurrency: z.int().min(1).max(1000).default(20),
      /** PEM file of the authorities to trust for `smtp+tls://` and `smtps://`; the system's own where absent. */
      caFile: z.string().optional(),
    })
    .prefault({}),
  /** For policies and SPF; next-hop names use the system's resolver. */
  dns: z.strictObject({ servers: z.array(z.string()).min(1) }).optional(),
  http: z.strictObject({ address: z.string().default('127.0.0.1:9090') }).optional(),
  limits: limits.prefault({}),
  /** Worker processes: a number of each kind, or `auto` by the machine's cores. */
  processes: z
    .union([
      z.literal('auto'),
      z.strictObject({
        receive: z.int().min(1).max(64).default(1),
        work: z.int().min(1).max(64).default(1),
      }),
    ])
    .default('auto'),
  log: z
    .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') })
    .prefault({}),
})

export type Config = z.infer<typeof configSchema> & {
  /** Always set once read: `state`/spool where the file has none. */
  spool: string
}
export type Listener = Config['listen'][number]
export type DomainConfig = Config['domains'][string]
export type DirectoryConfig = Config['directory'][string]
export type Limits = Config['limits']
