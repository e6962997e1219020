// Our own name and addresses: what we are called, where we listen, and as whom.
import { isIPv4 } from 'node:net'
import type { Path } from '../faults.ts'
import type { Account, Machine } from '../machine.ts'
import {
  domainName,
  isFullyQualified,
  isLoopback,
  isNetwork,
  parseListenAddress,
} from '../names.ts'
import type { Listener } from '../schema.ts'
import type { Check, CheckContext } from './check.ts'
import { checkPair } from './tls.ts'

export const checkHostname: Check = ({ hostname }, { findings, shown }) => {
  if (hostname === undefined || isFullyQualified(hostname)) return
  const problem = domainName(hostname) ? 'is not fully qualified' : 'is not a host name'
  findings.fault(['hostname'], `${shown(['hostname'])} ${problem}`, 'write `mx1.example.org`')
}

export const checkListeners: Check = async ({ listen, http }, context) => {
  const { findings, shown } = context
  const taken: { host: string; port: number; by: string }[] = []
  const place = (address: string, path: Path) => {
    const parsed = parseListenAddress(address)
    if (!parsed) {
      const mend = 'write an IP address and a port: `0.0.0.0:25`, or `[::]:25` for IPv4 and IPv6'
      findings.fault(path, `${shown(path)} is not an address to listen on`, mend)
      return
    }
    const other = taken.find(t => t.port === parsed.port && overlap(t.host, parsed.host))
    taken.push({ ...parsed, by: path.join('.') })
    if (other !== undefined) {
      const mend = 'remove one of them, or give it another port; `[::]` takes IPv4 as well'
      findings.fault(path, `${shown(path)} is already taken by ${other.by}`, mend)
    }
  }
  for (const [i, listener] of listen?.entries() ?? []) {
    place(listener.address, ['listen', i, 'address'])
    checkNetworks(listener.proxyProtocol, ['listen', i, 'proxyProtocol'], context)
    await checkListenerTls(listener, ['listen', i], context)
  }
  if (!http) return
  place(http.address, ['http', 'address'])
  const parsed = parseListenAddress(http.address)
  if (parsed && !isLoopback(parsed.host)) {
    const mend = 'write `127.0.0.1:9090`, or let only Prometheus reach it'
    findings.warn(['http', 'address'], 'the metrics are open to the network', mend)
  }
}

/** Whether two addresses can't be bound to one port; `::` is bound for IPv4 too. */
const overlap = (a: string, b: string): boolean =>
  a === b || [a, b].includes('::') || ([a, b].includes('0.0.0.0') && isIPv4(a) && isIPv4(b))

async function checkListenerTls(
  listener: Pick<Listener, 'tls' | 'implicit'>,
  path: Path,
  context: CheckContext,
): Promise<void> {
  const { findings } = context
  if (listener.tls === undefined) {
    if (listener.implicit) {
      const mend = 'add `tls: { cert: …, key: … }`, or remove `implicit`'
      findings.fault([...path, 'implicit'], '`implicit` needs a certificate', mend)
    }
    return
  }
  const isList = Array.isArray(listener.tls)
  for (const [i, pair] of [listener.tls].flat().entries()) {
    await checkPair(pair, isList ? [...path, 'tls', i] : [...path, 'tls'], context)
  }
}

export function checkNetworks(networks: readonly string[], path: Path, context: CheckContext) {
  for (const [i, network] of networks.entries()) {
    if (isNetwork(network)) continue
    const problem = `${context.shown([...path, i])} is not a network`
    context.findings.fault(
      [...path, i],
      problem,
      'write `10.0.0.0/8`, `2001:db8::/32` or an address',
    )
  }
}

export const checkUser: Check = ({ user }, { account, findings, machine }) => {
  if (!machine.isRoot) return
  if (account?.uid === 0) {
    const mend = 'write `user: sallyport`, or another without rights'
    findings.fault(['user'], 'what faces the internet never runs as root', mend)
  } else if (account === undefined) {
    const name = user ?? DEFAULT_USERS[0]
    const mend = `make it: adduser --system --group --no-create-home ${name}`
    findings.fault(['user'], `there is no user \`${name}\` on this machine`, mend)
  } else if (user === undefined && account.name !== DEFAULT_USERS[0]) {
    const problem = `started by root without \`user\`, the workers run as \`${account.name}\``
    findings.warn(['user'], problem, 'add `user: sallyport`')
  }
}

/** Tried in turn where root started us and the file names nobody. */
const DEFAULT_USERS = ['sallyport', 'nobody']

/** Whom the workers become. */
export async function workersAccount(
  user: string | undefined,
  machine: Machine,
): Promise<Account | undefined> {
  if (!machine.isRoot) return undefined
  for (const name of user === undefined ? DEFAULT_USERS : [user]) {
    const account = await machine.account(name)
    if (account) return account
  }
  return undefined
}
