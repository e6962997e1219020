// A private Exim that scans at its DATA ACL with the same clamd and relays at once to the sink; as Debian builds it.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, start, temporaryFolder, until, userOf } from '../support/process.ts'
import type { Backends } from './backends.ts'
import { makeCpuGroup } from './cpu-group.ts'
import type { Peer } from './peers.ts'
import { DOMAIN } from './plan.ts'

const USER = 'Debian-exim'

type Installed = { program: string; env: NodeJS.ProcessEnv }

/** Its package conflicts with Postfix': `unpacked` is a folder that holds it, and libraries it lacks, by `dpkg -x`. */
function find(unpacked: string | undefined): Installed | undefined {
  const { PATH = '' } = process.env
  const folders =
    unpacked === undefined ? [...PATH.split(':'), '/usr/sbin'] : [path.join(unpacked, 'usr/sbin')]
  const program = folders.map(each => path.join(each, 'exim4')).find(each => existsSync(each))
  if (program === undefined) return undefined
  if (unpacked === undefined) return { program, env: process.env }
  const lib = path.join(unpacked, 'usr/lib')
  const libraries = existsSync(lib) ? readdirSync(lib).map(name => path.join(lib, name)) : []
  return { program, env: { ...process.env, LD_LIBRARY_PATH: [lib, ...libraries].join(':') } }
}

/** Why it can't be measured here; undefined where it can. */
export function eximMissing(unpacked: string | undefined): string | undefined {
  const installed = find(unpacked)
  if (!installed)
    return 'exim4 is not installed; --exim FOLDER names where its packages are unpacked'
  if (process.getuid?.() !== 0) return 'Exim wants to be started by root'
  if (!userOf(USER)) return `Exim wants its user: useradd -r -M -s /usr/sbin/nologin ${USER}`
  const { program, env } = installed
  const { stdout, stderr } = spawnSync(program, ['-C', '/dev/null', '-bV'], {
    env,
    encoding: 'utf8',
  })
  if (!stdout.startsWith('Exim version')) return `Exim does not start: ${stderr.trim()}`
  const can = stdout.includes('Content_Scanning') && /^Lookups.* ldap /m.test(stdout)
  return can ? undefined : `${program} can't scan or ask LDAP: it wants exim4-daemon-heavy`
}

type Settings = { folder: string; port: number }

const configuration = (
  { slapd, clamd, sinkPort }: Backends,
  { folder, port }: Settings,
): string => `
exim_path = ${folder}/exim4
exim_user = ${USER}
exim_group = ${USER}
keep_environment = LD_LIBRARY_PATH
primary_hostname = gw.${DOMAIN}
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
helo_verify_hosts =
never_users =
deliver_drop_privilege = true
message_size_limit = 50M
smtp_accept_max = 500
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 500
av_scanner = clamd:${clamd.socket}
domainlist relay_to = ${DOMAIN}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny !domains = +relay_to
       message = relay denied
  deny message = User unknown
       condition = \${if eq{\${lookup ldap{${slapd.url}/${slapd.base}?mail?sub?(mail=\${quote_ldap:$local_part@$domain})}{yes}{no}}}{no}}
  accept
acl_data:
  deny malware = *
       message = virus found: $malware_name
  accept
begin routers
internal:
  driver = manualroute
  domains = +relay_to
  route_list = * 127.0.0.1
  self = send
  transport = internal_smtp
begin transports
internal_smtp:
  driver = smtp
  port = ${sinkPort}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_fastopen =
begin retry
* * F,1h,1m
`

export async function startExim(backends: Backends, unpacked: string | undefined): Promise<Peer> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('bench-exim')).path
  const user = userOf(USER)
  const installed = find(unpacked)
  if (!user || !installed) throw new Error(eximMissing(unpacked))
  for (const name of ['spool', 'log']) {
    await mkdir(path.join(folder, name))
    await chown(path.join(folder, name), user.uid, user.gid)
  }
  // Without the setuid bit, with which it would not look for libraries in a folder of ours.
  await copyFile(installed.program, path.join(folder, 'exim4'))
  await chmod(path.join(folder, 'exim4'), 0o755)
  const port = await freePort()
  const file = path.join(folder, 'exim.conf')
  await writeFile(file, configuration(backends, { folder, port }))
  // Who receives leaves the deliveries it starts to themselves, so that their time is nobody's.
  const group = stack.use(makeCpuGroup('bench-exim'))
  const command = group.within(path.join(folder, 'exim4'), ['-C', file, '-bdf', '-q1m'])
  const exim = stack.use(await start(...command, { env: installed.env, cwd: folder }))
  await until('Exim to listen', () => listening(port)).catch(async error => {
    const log = await readFile(path.join(folder, 'log/paniclog'), 'utf8').catch(() => '')
    throw new Error(`${error} ${exim.output()} ${log}`)
  })
  const running = stack.move()
  return {
    ...{ ports: [port], scans: true, said: () => exim.output() },
    parts: [{ name: 'gateway', roots: [exim.pid], spentMs: group.spentMs }],
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
