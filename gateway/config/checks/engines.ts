// What we lean on: scanners, Redis and DNS servers have addresses of the right form, and the matrix fits them.
import type { Path } from '../faults.ts'
import { parseHostPort } from '../names.ts'
import { isRecord } from '../parse.ts'
import type { Check, CheckContext } from './check.ts'
import { readWorkersFile } from './files.ts'

type Matrix = Record<string, Record<string, string | undefined> | undefined>

const isSocket = (text: string): boolean =>
  /^unix:\/[^\s]{1,107}$/.test(text) ||
  (text.startsWith('tcp:') && parseHostPort(text.slice(4)) !== undefined)

export const checkScanners: Check = (settings, { findings, shown, value }) => {
  const { clamav, rspamd, spamassassin } = settings.scanners ?? {}
  const socket = (address: string, path: Path, example: string) => {
    if (isSocket(address)) return
    const mend = `write \`unix:${example}\` or \`tcp:10.0.0.3:3310\``
    findings.fault(path, `${shown(path)} is not a socket`, mend)
  }
  if (typeof clamav === 'object') {
    for (const [i, address] of clamav.addresses.entries()) {
      socket(address, ['scanners', 'clamav', 'addresses', i], '/run/clamav/clamd.ctl')
    }
  }
  if (spamassassin) {
    socket(spamassassin.address, ['scanners', 'spamassassin', 'address'], '/run/spamd.sock')
  }
  if (rspamd && !isHttpUrl(rspamd.url)) {
    const path = ['scanners', 'rspamd', 'url']
    findings.fault(path, `${shown(path)} is not an HTTP URL`, 'write `http://127.0.0.1:11333`')
  }
  const written = value.scanners
  if (!isRecord(written) || Object.keys(written).length === 0) {
    const mend = 'add `scanners: { clamav: embedded }`'
    findings.warn(
      ['scanners'],
      'there is no scanner: mail is relayed without being looked at',
      mend,
    )
  }
}

const isHttpUrl = (text: string): boolean =>
  ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? '')

export const checkMatrix: Check = (settings, context) => {
  const configured = isRecord(context.value.scanners) ? context.value.scanners : {}
  const rows = (matrix: Matrix | undefined, path: Path) => {
    for (const [scanner, row] of Object.entries(matrix ?? {})) {
      if (row === undefined) continue
      // Not below `scanners`: it is no engine, and has rules of its own.
      const isThere =
        scanner === 'attachments'
          ? context.value.attachments !== undefined
          : Object.hasOwn(configured, scanner)
      if (!isThere) {
        const mend = `add \`${scanner}\`${scanner === 'attachments' ? '' : ' below `scanners`'}, or remove this row`
        const problem = `there is no scanner \`${scanner}\` for this row`
        context.findings.faultAtKey([...path, scanner], problem, mend)
      }
      for (const [failure, action] of Object.entries(row)) {
        if (action !== 'relay' && action !== 'relayMarked') continue
        const problem = `when ${scanner} is ${failure}, mail is relayed without its verdict`
        context.findings.warn([...path, scanner, failure], problem, 'write `tempfail` or `hold`')
      }
    }
  }
  rows(settings.failure, ['failure'])
  for (const [name, domain] of Object.entries(settings.domains ?? {})) {
    rows(domain.failure, ['domains', name, 'failure'])
  }
}

export const checkUnscannable: Check = (settings, { findings }) => {
  const look = (reasons: Record<string, string | undefined> | undefined, path: Path) => {
    for (const [reason, action] of Object.entries(reasons ?? {})) {
      if (action !== 'relay') continue
      const problem = `what nobody could look into (${reason}) is relayed without a mark`
      findings.warn([...path, reason], problem, 'write `relayMarked` or `quarantine`')
    }
  }
  look(settings.unscannable, ['unscannable'])
  for (const [name, domain] of Object.entries(settings.domains ?? {}))
    look(domain.unscannable, ['domains', name, 'unscannable'])
}

export const checkRedis: Check = ({ redis }, { findings, shown }) => {
  const mend = 'write `embedded`, `redis://127.0.0.1:6379/0` or `unix:/run/redis/redis.sock`'
  if (typeof redis === 'string' && !isRedis(redis)) {
    findings.fault(['redis'], `${shown(['redis'])} is not a Redis`, mend)
  }
  if (typeof redis !== 'object') return
  for (const [i, sentinel] of redis.sentinels.entries()) {
    const path = ['redis', 'sentinels', i]
    if (parseHostPort(sentinel, 26_379)) continue
    findings.fault(path, `${shown(path)} is not a sentinel`, 'write `10.0.0.5:26379`')
  }
}

function isRedis(text: string): boolean {
  if (text === 'embedded' || /^unix:\/\S{1,107}$/.test(text)) return true
  const url = URL.parse(text)
  return url !== null && ['redis:', 'rediss:'].includes(url.protocol) && url.hostname !== ''
}

export const checkResolvers: Check = ({ dns }, { findings, shown }) => {
  for (const [i, server] of dns?.servers.entries() ?? []) {
    const path = ['dns', 'servers', i]
    if (/^(\d+\.){3}\d+(:|$)|^\[/.test(server) && parseHostPort(server, 53)) continue
    findings.fault(path, `${shown(path)} is not an address`, 'write `127.0.0.1:53`, `[::1]:53`')
  }
}

export const checkTrust: Check = async ({ relay }, context: CheckContext) => {
  if (relay?.caFile) await readWorkersFile(relay.caFile, ['relay', 'caFile'], context)
}
