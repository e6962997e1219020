// The scanners that others put behind Postfix: clamav-milter, and rspamd that asks the same clamd.
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { start, until, userOf } from '../support/process.ts'

export type Milter = {
  pid: number
  socket: string
  /** What Postfix is told beside the socket. */
  settings: string
} & AsyncDisposable

export type MilterName = 'clamav-milter' | 'rspamd'

export const MILTER_PROGRAMS: { [name in MilterName]: string } = {
  'clamav-milter': '/usr/sbin/clamav-milter',
  rspamd: '/usr/bin/rspamd',
}

export function startMilter(name: MilterName, folder: string, clamd: string): Promise<Milter> {
  return name === 'rspamd' ? startRspamd(folder, clamd) : startClamavMilter(folder, clamd)
}

const clamavMilterConf = (folder: string, clamd: string) => `
MilterSocket unix:${folder}/milter.sock
MilterSocketMode 666
FixStaleSocket true
Foreground true
ClamdSocket unix:${clamd}
OnClean Accept
OnInfected Reject
OnFail Defer
AddHeader Replace
LogFile ${folder}/milter.log
LogInfected Basic
MaxFileSize 64M
TemporaryDirectory ${folder}
`

async function startClamavMilter(folder: string, clamd: string): Promise<Milter> {
  const file = path.join(folder, 'clamav-milter.conf')
  await writeFile(file, clamavMilterConf(folder, clamd))
  return running('clamav-milter', folder, ['-c', file], '')
}

/** What asks the network, or another server. */
const RSPAMD_WITHOUT = [
  ...['rbl', 'surbl', 'spf', 'dkim', 'arc', 'dmarc', 'asn', 'dkim_signing', 'fuzzy_check'],
  ...['mx_check', 'hfilter', 'phishing', 'whitelist', 'url_redirector', 'rspamd_update', 'bimi'],
  ...['once_received', 'greylist', 'ratelimit', 'replies', 'history_redis', 'neural'],
  ...['reputation', 'p0f', 'metric_exporter', 'metadata_exporter', 'external_services', 'dcc'],
  ...['http_headers', 'spamtrap'],
]

/** Its own rules on the text of a message stay on: that is what it is run for. */
const rspamdConf = (folder: string, clamd: string): { [file: string]: string } => ({
  'local.d/options.inc': `
filters = "chartable,regexp";
dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
max_message = 52428800; task_timeout = 60s;
`,
  'override.d/worker-normal.inc': 'enabled = false;\ncount = -1;\n',
  'local.d/worker-controller.inc': 'count = -1;\n',
  'local.d/worker-proxy.inc': `
bind_socket = "${folder}/milter.sock mode=0666";
milter = yes; timeout = 120s; count = 2;
upstream "local" { default = yes; self_scan = yes; hosts = "127.0.0.1"; }
`,
  'local.d/antivirus.conf': `
clamav {
  action = "reject"; message = "virus found: \${VIRUS}"; type = "clamav"; symbol = "CLAM_VIRUS";
  servers = "${clamd}"; scan_mime_parts = false; max_size = 52428800; log_clean = false;
}
`,
  'local.d/logging.inc': 'level = "warning";\n',
  ...Object.fromEntries(
    RSPAMD_WITHOUT.map(name => [`override.d/${name}.conf`, 'enabled = false;\n']),
  ),
})

async function startRspamd(folder: string, clamd: string): Promise<Milter> {
  const owner = userOf('_rspamd')
  const own = async (place: string) => {
    await mkdir(place, { recursive: true })
    if (owner) await chown(place, owner.uid, owner.gid)
    return place
  }
  const home = await own(path.join(folder, 'rspamd'))
  for (const name of ['local.d', 'override.d', 'db', 'log', 'run']) await own(path.join(home, name))
  for (const [file, text] of Object.entries(rspamdConf(home, clamd)))
    await writeFile(path.join(home, file), text)
  const folders = { LOCAL_CONFDIR: home, DBDIR: `${home}/db`, LOGDIR: `${home}/log` }
  const variables = Object.entries({ ...folders, RUNDIR: `${home}/run` })
  const command = ['-f', '-c', '/etc/rspamd/rspamd.conf', '-u', '_rspamd', '-g', '_rspamd']
  const args = variables.flatMap(([name, value]) => ['--var', `${name}=${value}`])
  return running('rspamd', home, [...command, ...args], 'milter_protocol = 6')
}

async function running(
  name: MilterName,
  folder: string,
  args: string[],
  settings: string,
): Promise<Milter> {
  const program = await start(MILTER_PROGRAMS[name], args)
  const socket = path.join(folder, 'milter.sock')
  await until(`${name} to listen`, () => existsSync(socket), 60_000).catch(async error => {
    const log = await readFile(path.join(folder, 'log/rspamd.log'), 'utf8').catch(() => '')
    await program.stop()
    throw new Error(`${error} ${program.output()} ${log}`)
  })
  return { socket, settings, pid: program.pid, [Symbol.asyncDispose]: () => program.stop() }
}
