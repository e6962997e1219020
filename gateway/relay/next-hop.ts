// Next hops as written in the configuration, and the hosts they mean now.
import { type MxRecord, promises } from 'node:dns'
import net from 'node:net'

/** One host to connect to. */
export type Target = {
  protocol: 'smtp' | 'lmtp'
  /** `opportunistic` takes TLS where it is offered, unverified; `starttls` and `implicit` are verified. */
  security: 'opportunistic' | 'starttls' | 'implicit'
  /** Name or IP address without brackets. */
  host: string
  port: number
  /** `host:port`, IPv6 in brackets: for people. */
  name: string
  /** `scheme://host:port`: the same key means the same pool. */
  key: string
}

export type NextHop =
  | { kind: 'host'; target: Target }
  | { kind: 'mx'; domain: string; port: number }

const SCHEMES = {
  smtp: { protocol: 'smtp', security: 'opportunistic', port: 25 },
  'smtp+tls': { protocol: 'smtp', security: 'starttls', port: 25 },
  smtps: { protocol: 'smtp', security: 'implicit', port: 465 },
  lmtp: { protocol: 'lmtp', security: 'opportunistic', port: 24 },
} as const
type Scheme = keyof typeof SCHEMES
const isScheme = (text: string): text is Scheme => Object.hasOwn(SCHEMES, text)

const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?))(?::(\d{1,5}))?$/i

/** `smtp://host:25`, `smtp+tls://…`, `smtps://…`, `lmtp://…` or `mx:domain[:port]`; undefined if it is none. */
export function parseNextHop(text: string): NextHop | undefined {
  const [, scheme = '', , rest = ''] = /^([a-z+]+):(\/\/)?(.*?)\/?$/i.exec(text) ?? []
  const [, literal, hostName, portText] = HOST.exec(rest) ?? []
  const host = (literal ?? hostName)?.toLowerCase()
  const port = portText === undefined ? undefined : Number(portText)
  if (host === undefined || port === 0 || (port ?? 0) > 65_535) return undefined
  if (literal !== undefined && !net.isIPv6(literal)) return undefined
  const slashes = text.toLowerCase().startsWith(`${scheme.toLowerCase()}://`)
  if (scheme.toLowerCase() === 'mx') {
    if (slashes || literal !== undefined || net.isIP(host)) return undefined
    return { kind: 'mx', domain: host, port: port ?? 25 }
  }
  const key = scheme.toLowerCase()
  if (!slashes || !isScheme(key)) return undefined
  return { kind: 'host', target: targetOf(key, host, port ?? SCHEMES[key].port) }
}

function targetOf(scheme: Scheme, host: string, port: number): Target {
  const name = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`
  const { protocol, security } = SCHEMES[scheme]
  return { protocol, security, host, port, name, key: `${scheme}://${name}` }
}

export type ResolveMx = (domain: string) => Promise<MxRecord[]>

/** The hosts meant, in the order to try them; or why there are none now. `permanent`: RFC 7505. */
export type Targets = { targets: Target[]; cause?: string; permanent?: boolean }

/** Exchangers tried of one domain at most. */
const MOST_EXCHANGERS = 16

/** Looks up what `mx:` stands for. Never rejects. */
export async function targetsOf(
  nextHops: readonly string[],
  resolveMx: ResolveMx,
): Promise<Targets> {
  const all: Targets = { targets: [] }
  for (const text of nextHops) {
    const hop = parseNextHop(text)
    const found = await (hop === undefined
      ? { targets: [], cause: `not a next hop: ${text}` }
      : hop.kind === 'host'
        ? { targets: [hop.target] }
        : exchangersOf(hop.domain, hop.port, resolveMx))
    all.targets.push(...found.targets)
    if (found.cause !== undefined) all.cause = found.cause
    if ('permanent' in found && nextHops.length === 1) all.permanent = true
  }
  return all
}

/** RFC 5321 §5.1: by preference, equal ones in random order; without MX records the domain itself. */
async function exchangersOf(domain: string, port: number, resolveMx: ResolveMx): Promise<Targets> {
  let records: MxRecord[]
  try {
    records = await resolveMx(domain)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENODATA' || code === 'ENOTFOUND') records = []
    else return { targets: [], cause: `MX of ${domain}: ${String(code ?? error)}` }
  }
  if (records.length === 0) return { targets: [targetOf('smtp', domain, port)] }
  const hosts = records
    .map(record => ({ ...record, chance: Math.random() }))
    .sort((a, b) => a.priority - b.priority || a.chance - b.chance)
    .map(record => record.exchange.replace(/\.$/, '').toLowerCase())
    .filter(host => host !== '')
  // RFC 7505 §3: a lone "." says that the domain takes no mail.
  if (hosts.length === 0) {
    return { targets: [], cause: `${domain} takes no mail (null MX)`, permanent: true }
  }
  return { targets: hosts.slice(0, MOST_EXCHANGERS).map(host => targetOf('smtp', host, port)) }
}

/** The system's name servers, two tries of 5 s. */
export function systemMx(): ResolveMx {
  const resolver = new promises.Resolver({ timeout: 5000, tries: 2 })
  return domain => resolver.resolveMx(domain)
}
