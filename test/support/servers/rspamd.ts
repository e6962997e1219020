// A private rspamd with one normal worker: no network but the name server given, SPF and DKIM on, no learning.
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  freePort,
  listening,
  type Running,
  start,
  temporaryFolder,
  until,
  userOf,
} from '../process.ts'
import { endNow, treeOf } from '../process-tree.ts'

export type Rspamd = {
  /** As the configuration wants it: `http://127.0.0.1:…`. */
  url: string
  port: number
  folder: string
  pid(): number
  output(): string
  /** To all its processes. */
  signal(name: NodeJS.Signals): void
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
} & AsyncDisposable

/** Modules that need a network, Redis, or learning; and those that would judge our plain test messages. */
const OFF = [
  'rbl surbl arc dmarc asn dkim_signing fuzzy_check mx_check hfilter phishing whitelist url_redirector',
  'rspamd_update bimi once_received greylist ratelimit replies history_redis neural reputation p0f',
  'metric_exporter metadata_exporter external_services dcc http_headers spamtrap antivirus elastic',
  'clickhouse milter_headers multimap bayes_expiry known_senders aws_s3 clustering',
].flatMap(line => line.split(' '))

/** Only the normal worker; hs_helper would be added by itself, and outlive its parent while it compiles. */
const MAIN = `
.include "$CONFDIR/common.conf"
options { .include "$CONFDIR/options.inc"
  .include(priority=10) "$LOCAL_CONFDIR/options.inc" }
logging { .include "$CONFDIR/logging.inc"
  .include(priority=10) "$LOCAL_CONFDIR/logging.inc" }
worker "normal" { .include(priority=10) "$LOCAL_CONFDIR/worker-normal.inc" }
worker "hs_helper" { count = -1; enabled = false; }
`

async function configure(folder: string, port: number, options: RspamdOptions): Promise<string> {
  const local = path.join(folder, 'local')
  const override = path.join(local, 'override.d')
  for (const each of [override, ...['db', 'log', 'run'].map(n => path.join(folder, n))])
    await mkdir(each, { recursive: true })
  const write = (name: string, ...lines: string[]) =>
    writeFile(path.join(local, name), `${lines.join('\n')}\n`)
  const server = options.nameserver ?? '127.0.0.1:1'
  const dnsTimeout = options.nameserver === undefined ? '0.1s' : '1s'
  const password = options.password === undefined ? '' : `password = "${options.password}";`
  await write('rspamd.conf', MAIN)
  // The whole public suffix list takes rspamd ten seconds to compile.
  await write('suffixes', 'com', 'org', 'net', 'test', 'example')
  await write(
    'options.inc',
    'filters = "chartable,regexp,spf,dkim";',
    `dns { nameserver = ["${server}"]; timeout = ${dnsTimeout}; retransmits = 1; }`,
    `local_addrs = []; url_tld = "${local}/suffixes"; pidfile = "${folder}/run/pid";`,
    'max_message = 67108864; task_timeout = 30s; disable_hyperscan = true;',
  )
  await write('logging.inc', `type = "console"; level = "${options.logLevel ?? 'warning'}";`)
  await write(
    'worker-normal.inc',
    `bind_socket = "127.0.0.1:${port}"; count = 1; max_tasks = 0; ${password}`,
  )
  for (const name of OFF) await write(`override.d/${name}.conf`, 'enabled = false;')
  for (const name of ['spf', 'dkim']) await write(`override.d/${name}.conf`, 'check_local = true;')
  return path.join(local, 'rspamd.conf')
}

export type RspamdOptions = {
  /** Where SPF and DKIM ask: `127.0.0.1:5353`. A closed port where absent. */
  nameserver?: string
  password?: string
  logLevel?: string
}

export async function startRspamd(options: RspamdOptions = {}): Promise<Rspamd> {
  const temporary = await temporaryFolder('rspamd')
  const folder = temporary.path
  const port = await freePort()
  const conf = await configure(folder, port, options)
  const user = userOf('_rspamd')
  if (user) spawnSync('chown', ['-R', '_rspamd:_rspamd', folder])
  const places = { LOCAL_CONFDIR: 'local', DBDIR: 'db', LOGDIR: 'log', RUNDIR: 'run' }
  const args = Object.entries(places).flatMap(([name, place]) => [
    '--var',
    `${name}=${path.join(folder, place)}`,
  ])
  const as = user ? ['-u', '_rspamd', '-g', '_rspamd'] : []

  const run = async (): Promise<Running> => {
    const rspamd = await start('/usr/bin/rspamd', ['-f', '-c', conf, ...as, ...args])
    let over = false
    void rspamd.ended.then(() => {
      over = true
    })
    await until(
      'rspamd to listen',
      async () => {
        if (over) throw new Error(`rspamd ended: ${rspamd.output()}`)
        return listening(port)
      },
      30_000,
    )
    return rspamd
  }
  let running = await run()
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    folder,
    pid: () => running.pid,
    output: () => running.output(),
    signal(name) {
      for (const pid of treeOf(running.pid)) process.kill(pid, name)
    },
    stop: () => running.stop(),
    async kill() {
      const tree = treeOf(running.pid)
      await running.kill()
      endNow(tree)
    },
    async restart() {
      await running.stop()
      running = await run()
    },
    async [Symbol.asyncDispose]() {
      const tree = treeOf(running.pid)
      await running.stop()
      endNow(tree)
      await temporary[Symbol.asyncDispose]()
    },
  }
}
