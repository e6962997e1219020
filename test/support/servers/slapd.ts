// A private OpenLDAP server with its own small schemas, on a free port of 127.0.0.1.
import { spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, type Running, start, temporaryFolder, until } from '../process.ts'

/** One entry; a value may be anything, LDIF's base64 form is used where it must be. */
export type Entry = { dn: string; attributes: Record<string, string | string[]> }

export type SlapdOptions = {
  /** `dc=example,dc=org` by default. */
  base?: string
  /** What lies below the base, parents first; the base itself is added. */
  entries?: Entry[]
  /** Nobody reads anything without binding: asked anyway, it answers an error, or `silently` nothing. */
  bindRequired?: boolean | 'silently'
  /** PEM files; with them the server also speaks `ldaps://` and StartTLS. */
  tls?: { certFile: string; keyFile: string }
  /** The port of an earlier server, to take its place. */
  port?: number
}

export type Slapd = {
  base: string
  /** May read everything, and is bound by simple bind. */
  bindDn: string
  bindPassword: string
  port: number
  /** `ldap://127.0.0.1:port`. */
  url: string
  /** `ldaps://127.0.0.1:port`, where certificates were given. */
  secureUrl?: string
  signal(name: NodeJS.Signals): void
  /** Ends it by SIGTERM, or by SIGKILL. */
  stop(): Promise<void>
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, or with none at all. */
  restart(options?: { empty?: boolean }): Promise<void>
  output(): string
} & AsyncDisposable

const PROGRAMS = { slapd: '/usr/sbin/slapd', slapadd: '/usr/sbin/slapadd' }

/** The attributes of Active Directory, qmail-ldap and Courier that mail looks at, with matching rules like theirs. */
const SCHEMA = `
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.7914.1.2.1.4 NAME 'mailAlternateAddress'
  EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
attributetype ( 1.3.6.1.4.1.7914.1.2.1.10 NAME 'accountStatus'
  EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.10018.1.1.4 NAME 'maildrop'
  EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
objectclass ( 1.2.840.113556.1.5.9.1 NAME 'adUser' SUP top AUXILIARY
  MAY ( proxyAddresses $ userAccountControl ) )
objectclass ( 1.3.6.1.4.1.7914.1.2.2.1 NAME 'qmailUser' SUP top AUXILIARY
  MAY ( mail $ mailAlternateAddress $ accountStatus ) )
objectclass ( 1.3.6.1.4.1.10018.1.2.1 NAME 'CourierMailAccount' SUP top AUXILIARY
  MUST ( mail ) MAY ( homeDirectory $ maildrop ) )
objectclass ( 1.3.6.1.4.1.10018.1.2.2 NAME 'CourierMailAlias' SUP top AUXILIARY
  MUST ( mail $ maildrop ) )
`

/** A person with its address: what most directories hold. */
export const person = (
  uid: string,
  mail: string | string[],
  more: Entry['attributes'] = {},
  base = 'dc=example,dc=org',
): Entry => ({
  dn: `uid=${uid},${base}`,
  attributes: { objectClass: 'inetOrgPerson', uid, cn: uid, sn: uid, mail, ...more },
})

const line = (name: string, value: string) =>
  /^[\x21-\x39\x3b\x3d-\x7e][\x20-\x7e]*$/.test(value) && !value.endsWith(' ')
    ? `${name}: ${value}`
    : `${name}:: ${Buffer.from(value).toString('base64')}`

const ldif = (entries: Entry[]) =>
  entries
    .map(({ dn, attributes }) =>
      [
        line('dn', dn),
        ...Object.entries(attributes).flatMap(([name, values]) =>
          [values].flat().map(value => line(name, value)),
        ),
      ].join('\n'),
    )
    .join('\n\n')

function configuration(folder: string, base: string, password: string, o: SlapdOptions): string {
  const tls = o.tls
    ? `TLSCertificateFile ${o.tls.certFile}\nTLSCertificateKeyFile ${o.tls.keyFile}`
    : ''
  const silent = o.bindRequired === 'silently' ? 'search' : 'auth'
  const anonymous = o.bindRequired ? silent : 'read'
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include ${folder}/mail.schema
pidfile ${folder}/pid
argsfile ${folder}/args
modulepath /usr/lib/ldap
moduleload back_mdb
threads 4
${tls}
database mdb
suffix "${base}"
rootdn "cn=sallyport,${base}"
rootpw ${password}
directory ${folder}/db
maxsize 104857600
index objectClass,uid,mail eq
access to * by anonymous ${anonymous} by users read
`
}

function load(folder: string, base: string, entries: Entry[]): void {
  const [, name = 'example'] = /^dc=([^,]+)/.exec(base) ?? []
  const root: Entry = {
    dn: base,
    attributes: { objectClass: ['dcObject', 'organization'], o: name, dc: name },
  }
  const added = spawnSync(PROGRAMS.slapadd, ['-q', '-f', `${folder}/slapd.conf`], {
    input: ldif([root, ...entries]),
    encoding: 'utf8',
  })
  if (added.status !== 0) throw new Error(`slapadd: ${added.error ?? added.stderr}`)
}

/** Starts a slapd and waits until it listens. Rejects where Debian's `slapd` is not installed. */
export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  const folder = await temporaryFolder('slapd')
  const base = options.base ?? 'dc=example,dc=org'
  const bindPassword = 'let-me-in'
  const port = options.port ?? (await freePort())
  const securePort = options.tls ? await freePort() : undefined
  const url = `ldap://127.0.0.1:${port}`
  const secureUrl = securePort ? `ldaps://127.0.0.1:${securePort}` : undefined
  await writeFile(path.join(folder.path, 'mail.schema'), SCHEMA)
  await writeFile(
    path.join(folder.path, 'slapd.conf'),
    configuration(folder.path, base, bindPassword, options),
  )
  await mkdir(path.join(folder.path, 'db'))
  load(folder.path, base, options.entries ?? [])
  const run = async () => {
    const urls = [url, secureUrl].filter(u => u !== undefined).map(u => `${u}/`)
    const args = ['-d', '0', '-f', `${folder.path}/slapd.conf`, '-h', urls.join(' ')]
    const program = await start(PROGRAMS.slapd, args)
    await until(`slapd on ${port}: ${program.output()}`, () => listening(port))
    return program
  }
  let program: Running = await run()
  return {
    base,
    bindDn: `cn=sallyport,${base}`,
    bindPassword,
    port,
    url,
    ...(secureUrl === undefined ? {} : { secureUrl }),
    signal: name => program.signal(name),
    stop: () => program.stop(),
    kill: () => program.kill(),
    output: () => program.output(),
    async restart({ empty = false } = {}) {
      await program.stop()
      if (empty) {
        const db = path.join(folder.path, 'db')
        await rm(db, { recursive: true })
        await mkdir(db)
      }
      program = await run()
    },
    async [Symbol.asyncDispose]() {
      await program.stop()
      await folder[Symbol.asyncDispose]()
    },
  }
}
