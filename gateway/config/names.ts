// Host names, domains, addresses and networks as they may stand in the configuration. Pure; asks no DNS.
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** A domain in lower case and A-labels (RFC 5890 §2.3.2.1), or undefined where it is not a domain name. */
export function domainName(text: string): string | undefined {
  const ascii = domainToASCII(text.trim().replace(/\.$/, '')).toLowerCase()
  const labels = ascii.split('.')
  // RFC 1035 §2.3.4, RFC 1123 §2.1: letters, digits and hyphens; a last label of digits alone is no name.
  const valid =
    ascii.length <= 253 && labels.every(l => LABEL.test(l)) && !/^\d+$/.test(labels.at(-1) ?? '')
  return valid ? ascii : undefined
}

/** RFC 5321 §2.3.5 asks for a fully qualified name. */
export const isFullyQualified = (name: string): boolean => domainName(name)?.includes('.') ?? false

export type HostPort = { host: string; port: number }

/** `host:port` or `[IPv6]:port`; a missing port is `defaultPort`. Undefined for anything else. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/@\s]+))(?::(\d{1,5}))?$/.exec(text)
  if (!match) return undefined
  const [, v6, name, digits] = match
  const port = digits === undefined ? defaultPort : Number(digits)
  if (port === undefined || port < 1 || port > 65_535) return undefined
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6.toLowerCase(), port } : undefined
  // Underscores are no part of host names (RFC 952), but of many container networks.
  if (name === undefined || !(isIPv4(name) || domainName(name.replaceAll('_', ''))))
    return undefined
  return { host: name.toLowerCase(), port }
}

/** Where a listener is bound: as `parseHostPort`, but an IP address is asked for. */
export function parseListenAddress(text: string): HostPort | undefined {
  const parsed = parseHostPort(text)
  return parsed && isIP(parsed.host) !== 0 ? parsed : undefined
}

/** Whether it is an IP address or a network in CIDR form without host bits beyond its family's width. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more !== undefined) return false
  if (prefix === undefined) return true
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)
}

/** A mailbox `local@domain` with a plausible local part (dot-string or quoted, RFC 5321 §4.1.2). */
export function mailboxDomain(text: string): string | undefined {
  const at = text.lastIndexOf('@')
  const local = text.slice(0, Math.max(at, 0))
  const plain = /^[^\s"(),:;<>@[\\\].]+(\.[^\s"(),:;<>@[\\\].]+)*$/.test(local)
  const quoted = /^"([^"\\\r\n]|\\[^\r\n])*"$/.test(local)
  if (!(plain || quoted) || Buffer.byteLength(local) > 64) return undefined
  return domainName(text.slice(at + 1))
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIP(host) !== 0 && loopback.check(host, isIPv4(host) ? 'ipv4' : 'ipv6'))
