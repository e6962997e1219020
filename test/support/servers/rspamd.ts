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

export type Rspamd = {
  /** As the configuration wants it: `http://127.0.0.1:…`. */
  url: string
  port: number
  folder: string
  pid(): number
  output(): string
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

async function configure(folder: string, port: number, options: RspamdOptions): Promise<void> {
  const local = path.join(folder, 'local', 'local.d')
  const override = path.join(folder, 'local', 'override.d')
  for (const each of [local, override, ...['db', 'log', 'run'].map(n => path.join(folder, n))])
    await mkdir(each, { recursive: true })
  const server = options.nameserver ?? '127.0.0.1:1'
  const worker = `bind_socket = "127.0.0.1:${port}"; count = 1; max_tasks = 200;`
  const password = options.password === undefined ? '' : ` password = "${options.password}";`
  await writeFile(path.join(override, 'worker-normal.inc'), `${worker}${password}\n`)
  for (const name of ['worker-controller', 'worker-proxy', 'worker-fuzzy'])
    await writeFile(path.join(override, `${name}.inc`), 'enabled = false; count = -1;\n')
  for (const name of OFF) await writeFile(path.join(override, `${name}.conf`), 'enabled = false;\n')
  for (const name of ['spf', 'dkim'])
    await writeFile(path.join(override, `${name}.conf`), 'check_local = true;\n')
  await writeFile(
    path.join(local, 'options.inc'),
    [
      'filters = "chartable,regexp,spf,dkim";',
      `dns { nameserver = ["${server}"]; timeout = ${options.nameserver ? 1 : 0.1}s; retransmits = 1; }`,
      'local_addrs = []; max_message = 67108864; task_timeout = 30s; disable_hyperscan = true;',
    ].join('\n'),
  )
  const logging = `type = "console"; level = "${options.logLevel ?? 'warning'}";\n`
  await writeFile(path.join(override, 'logging.inc'), logging)
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
  await configure(folder, port, options)
  const user = userOf('_rspamd')
  if (user) spawnSync('chown', ['-R', '_rspamd:_rspamd', folder])
  const variables = Object.entries({ CONFDIR: 'local', DBDIR: 'db', LOGDIR: 'log', RUNDIR: 'run' })
  const args = variables.flatMap(([name, place]) => [
    '--var',
    `${name === 'CONFDIR' ? 'LOCAL_CONFDIR' : name}=${path.join(folder, place)}`,
  ])
  const as = user ? ['-u', '_rspamd', '-g', '_rspamd'] : []

  const run = async (): Promise<Running> => {
    const rspamd = await start('/usr/bin/rspamd', [
      '-f',
      '-c',
      '/etc/rspamd/rspamd.conf',
      ...as,
      ...args,
    ])
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
    signal: name => running.signal(name),
    stop: () => running.stop(),
    kill: () => running.kill(),
    async restart() {
      await running.stop()
      running = await run()
    },
    async [Symbol.asyncDispose]() {
      await running.stop()
      await temporary[Symbol.asyncDispose]()
    },
  }
}
