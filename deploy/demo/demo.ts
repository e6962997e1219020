// Shows the gateway at work: private servers, real mail, a table of what became of it; `--once` ends by itself.
import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { selfSigned } from '../../test/support/certificate.ts'
import { type Gateway, type GatewayConfig, startGateway } from '../../test/support/gateway.ts'
import { freePort } from '../../test/support/process.ts'
import { endNow, livingIn } from '../../test/support/process-tree.ts'
import { startDns } from '../../test/support/servers/dns.ts'
import { startRspamd } from '../../test/support/servers/rspamd.ts'
import { person, startSlapd } from '../../test/support/servers/slapd.ts'
import { startMaildirSink } from './maildir-sink.ts'
import { type Result, rows, run } from './rows.ts'
import { table } from './table.ts'

const say = (text: string) => void process.stdout.write(`${text}\n`)

const OWN_SIGNATURES = `
  *************************************************************************************
  *  NOTE: ClamAV's own signatures could not be fetched. The virus scanner of this    *
  *  demo uses a signature set of Sallyport's: it finds EICAR and NO REAL VIRUS.      *
  *  Never take it for protection.                                                    *
  *************************************************************************************`
const OFFICIAL_SIGNATURES = '\n  ClamAV scans with its official signatures.'

const signaturesOf = (gateway: Gateway): string =>
  gateway.log('warned').some(line => line.name === 'test-signatures' && line.over !== true)
    ? OWN_SIGNATURES
    : OFFICIAL_SIGNATURES

/** The servers around the gateway, started side by side. */
async function startSurroundings(stack: AsyncDisposableStack, folder: string) {
  const dns = stack.use(
    await startDns({
      'sender.test': { txt: ['v=spf1 ip4:127.0.0.1 -all'], mx: ['10 mail.sender.test'] },
      'mail.sender.test': { a: ['127.0.0.1'] },
    }),
  )
  const people = [person('bob', 'bob@example.org'), person('carol', 'carol@example.org')]
  const mailboxes = path.join(folder, 'mail')
  const [rspamd, slapd, sink] = await Promise.all([
    startRspamd({ nameserver: dns.address }).then(server => stack.use(server)),
    startSlapd({ entries: people, bindRequired: true }).then(server => stack.use(server)),
    freePort()
      .then(port => startMaildirSink(mailboxes, port))
      .then(server => stack.use(server)),
  ])
  return { dns, rspamd, slapd, sink }
}

type Surroundings = Awaited<ReturnType<typeof startSurroundings>>

async function configuration(folder: string, around: Surroundings): Promise<GatewayConfig> {
  const { dns, rspamd, slapd, sink } = around
  const tls = { cert: path.join(folder, 'mx.pem'), key: path.join(folder, 'mx.key') }
  const certificate = selfSigned('mx.example.org')
  await writeFile(tls.cert, certificate.cert)
  await writeFile(tls.key, certificate.key)
  await writeFile(path.join(folder, 'ldap-password'), slapd.bindPassword)
  return {
    hostname: 'mx.example.org',
    state: path.join(folder, 'state'),
    listen: [{ address: `127.0.0.1:${await freePort()}`, tls }],
    postmaster: 'bob@example.org',
    domains: { 'example.org': { nextHop: sink.url, directory: 'staff' } },
    directory: {
      staff: {
        ldap: {
          urls: [slapd.url],
          base: slapd.base,
          bindDn: slapd.bindDn,
          bindPasswordFile: path.join(folder, 'ldap-password'),
        },
      },
    },
    redis: 'embedded',
    scanners: { clamav: 'embedded', rspamd: { url: rspamd.url } },
    dns: { servers: [dns.address] },
    http: { address: `127.0.0.1:${await freePort()}` },
  }
}

async function showMetrics(gateway: Gateway): Promise<void> {
  const text = await (await fetch(`${gateway.http}/metrics`)).text()
  const wanted = /^sallyport_(messages_total|ledger_recipients_total|recipients_decided_total)/
  const lines = text.split('\n').filter(line => wanted.test(line) && !line.endsWith(' 0'))
  say(`\nSome of its metrics:\n${lines.map(line => `  ${line}`).join('\n')}`)
}

async function show(stack: AsyncDisposableStack, folder: string): Promise<boolean> {
  const started = performance.now()
  say('Starting a directory (slapd), a spam filter (rspamd) and an internal mail server ...')
  const around = await startSurroundings(stack, folder)
  const config = await configuration(folder, around)
  say('Starting Sallyport with its own Redis and ClamAV ...')
  const gateway = stack.use(await startGateway({ config, folder }))
  say(`\nIts configuration, ${gateway.configFile}:\n`)
  say((await readFile(gateway.configFile, 'utf8')).trimEnd().replace(/^/gm, '  '))
  say(signaturesOf(gateway))
  say(`\nSending mail to 127.0.0.1:${gateway.port} ...\n`)
  const results: Result[] = []
  for (const row of rows()) results.push(await run(row, gateway.port, around.sink))
  say(table(results))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const unexpected = results.filter(result => !result.ok).length
  say(`\n${unexpected === 0 ? 'All as expected' : `${unexpected} UNEXPECTED`}, ${seconds} s.`)
  await showMetrics(gateway)
  say(`
  metrics    ${gateway.http}/metrics
  health     ${gateway.http}/health/live  ${gateway.http}/health/ready
  SMTP       127.0.0.1:${gateway.port} (bob@example.org and carol@example.org exist)
  mailboxes  ${around.sink.folder}/*/new`)
  if (unexpected > 0) say(`\nThe gateway's log:\n${gateway.output()}`)
  return unexpected === 0
}

async function demo(once: boolean): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-demo-'))
  await chmod(folder, 0o755)
  // Every server puts its files below, so one removal leaves nothing behind.
  process.env.TMPDIR = path.join(folder, 't')
  await mkdir(process.env.TMPDIR, { mode: 0o755 })
  const stack = new AsyncDisposableStack()
  const stopped = new Promise<'stopped'>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => resolve('stopped'))
  })
  try {
    const shown = await Promise.race([show(stack, folder), stopped])
    if (!once && shown !== 'stopped') {
      say('\nCtrl-C stops everything and leaves nothing behind.')
      await stopped
    }
    return shown === false ? 1 : 0
  } catch (error) {
    say(`\nThe demo could not be shown: ${error instanceof Error ? error.stack : String(error)}`)
    return 1
  } finally {
    await stack.disposeAsync().catch(error => say(String(error)))
    endNow(livingIn(folder))
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
process.exit(await demo(values.once))
