// A private Postfix that relays to the sink, alone, with a milter or amavis; as Debian ships it, fsync included.
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, start, temporaryFolder, until, userOf } from '../support/process.ts'
import { startAmavis } from './amavis.ts'
import type { Backends } from './backends.ts'
import { MILTER_PROGRAMS, type MilterName, startMilter } from './milters.ts'
import type { Peer } from './peers.ts'
import { DOMAIN } from './plan.ts'
import type { Part } from './processes.ts'

const PROGRAMS = {
  postfix: '/usr/sbin/postfix',
  master: '/usr/lib/postfix/sbin/master',
  ldap: '/usr/lib/postfix/postfix-ldap.so',
}

/** Why it can't be measured here, with this milter or alone; undefined where it can. */
export function postfixMissing(milter?: MilterName): string | undefined {
  const wanted = [...Object.values(PROGRAMS), ...(milter ? [MILTER_PROGRAMS[milter]] : [])]
  const missing = wanted.find(file => !existsSync(file))
  if (missing !== undefined) return `${missing} is not installed`
  return userOf('postfix') ? undefined : 'Postfix wants to be started by root'
}

const mainCf = (folder: string, sinkPort: number, scanner = '') => `
compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = gw.${DOMAIN}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = ${DOMAIN}
relay_recipient_maps = proxy:ldap:${folder}/etc/ldap.cf
smtpd_relay_restrictions = reject_unauth_destination
relay_transport = relay:[127.0.0.1]:${sinkPort}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_tls_security_level = none
message_size_limit = 52428800
maillog_file = ${folder}/log
maillog_file_prefixes = ${folder}
${scanner}
`
const ldapCf = (url: string, base: string) => `
server_host = ${url}
search_base = ${base}
version = 3
bind = no
domain = ${DOMAIN}
query_filter = (mail=%s)
result_attribute = mail
`
const masterCf = (port: number, scanner = '') => `
127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
${scanner}
`

/** What scans for it: its part of the cost, and what Postfix is told of it. */
type Scanner = {
  part: Part
  mainCf: string
  masterCf?: string
  /** Infected mail was acknowledged before. */
  discards?: boolean
} & AsyncDisposable

async function withMilter(name: MilterName, folder: string, { clamd }: Backends): Promise<Scanner> {
  const milter = await startMilter(name, folder, clamd.socket)
  return {
    part: { name: 'filter', roots: [milter.pid] },
    mainCf: `smtpd_milters = unix:${milter.socket}
milter_default_action = tempfail
${milter.settings}`,
    [Symbol.asyncDispose]: () => milter[Symbol.asyncDispose](),
  }
}

const AMAVIS_SERVERS = 4

/** After the queue, as its documentation has it: Postfix takes the mail, hands it to amavis, and gets it back. */
async function withAmavis({ clamd }: Backends): Promise<Scanner> {
  const back = await freePort()
  const amavis = await startAmavis({
    ...{ clamd: clamd.socket, next: back, domain: DOMAIN, servers: AMAVIS_SERVERS },
    infected: 'D_DISCARD',
  })
  return {
    part: { name: 'filter', roots: [amavis.pid] },
    discards: true,
    mainCf: `content_filter = amavis:[127.0.0.1]:${amavis.port}`,
    masterCf: `amavis unix - - n - ${AMAVIS_SERVERS} smtp
  -o smtp_data_done_timeout=1200 -o smtp_send_xforward_command=yes -o max_use=20
127.0.0.1:${back} inet n - n - - smtpd
  -o content_filter= -o relay_recipient_maps= -o smtpd_client_restrictions=permit_mynetworks,reject
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks`,
    [Symbol.asyncDispose]: () => amavis[Symbol.asyncDispose](),
  }
}

export async function startPostfix(
  backends: Backends,
  name?: MilterName | 'amavis',
): Promise<Peer> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('bench-postfix'))
  const starting =
    name === 'amavis' ? withAmavis(backends) : name && withMilter(name, folder.path, backends)
  const scanner = starting && stack.use(await starting)
  const port = await freePort()
  const { slapd, sinkPort } = backends
  for (const name of ['etc', 'queue', 'data']) await mkdir(path.join(folder.path, name))
  const user = userOf('postfix')
  if (user) await chown(path.join(folder.path, 'data'), user.uid, user.gid)
  const config = path.join(folder.path, 'etc')
  await writeFile(path.join(config, 'main.cf'), mainCf(folder.path, sinkPort, scanner?.mainCf))
  await writeFile(path.join(config, 'master.cf'), masterCf(port, scanner?.masterCf))
  await writeFile(path.join(config, 'ldap.cf'), ldapCf(slapd.url, slapd.base))
  const check = await start(PROGRAMS.postfix, ['-c', config, 'check'])
  if ((await check.ended) !== 0) throw new Error(`postfix check: ${check.output()}`)
  const master = stack.use(await start(PROGRAMS.master, ['-c', config, '-s']))
  await until('Postfix to listen', () => listening(port)).catch(async error => {
    const log = await readFile(path.join(folder.path, 'log'), 'utf8').catch(() => '')
    throw new Error(`${error} ${master.output()} ${log}`)
  })
  const running = stack.move()
  return {
    ports: [port],
    scans: scanner !== undefined,
    ...(scanner?.discards ? { discards: true } : {}),
    parts: [{ name: 'gateway', roots: [master.pid] }, ...(scanner ? [scanner.part] : [])],
    said: () => master.output(),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
