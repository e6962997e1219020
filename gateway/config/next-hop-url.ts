// The form of a next hop in the configuration: `smtp://mail.internal:25`, `lmtp://…`, `mx:example.org`.

import { domainName, parseHostPort } from './names.ts'
import { nearestName } from './nearest.ts'

/**
 * - `smtp`: TLS where offered; `smtp+tls`: STARTTLS required and verified; `smtps`: TLS from the first octet.
 * - `mx`: smtp to the domain's mail exchangers, `mx:example.org` or `mx:example.org:2525`.
 */
export type NextHopUrl =
  | { scheme: 'smtp' | 'smtp+tls' | 'smtps' | 'lmtp'; host: string; port: number }
  | { scheme: 'mx'; domain: string }

const PORTS = { smtp: 25, 'smtp+tls': 25, smtps: 465, lmtp: 24 }

const isScheme = (text: string): text is keyof typeof PORTS => Object.hasOwn(PORTS, text)

/** Reads a next hop with its default port; otherwise says what is wrong with it and what to write. */
export function parseNextHopUrl(text: string): NextHopUrl | { problem: string; mend: string } {
  if (text.startsWith('mx:')) {
    const domain = domainName(text.slice(3).replace(/:\d{1,5}$/, ''))
    if (domain) return { scheme: 'mx', domain }
    return { problem: 'names no domain after `mx:`', mend: 'write `mx:example.org`' }
  }
  const match = /^([a-z+]+):\/\/(.*?)\/?$/i.exec(text)
  const scheme = (match?.[1] ?? '').toLowerCase()
  // Not what stands before an @: that may be a password, and the mend is shown.
  const rest = match?.[2] ?? ''
  const place = rest.slice(rest.lastIndexOf('@') + 1)
  if (!match) {
    const host = parseHostPort(text, 25) ? text : 'mail.internal:25'
    return { problem: 'is not a next hop', mend: `write \`smtp://${host}\`` }
  }
  if (!isScheme(scheme)) {
    const meant = nearestName(scheme, Object.keys(PORTS)) ?? 'smtp'
    const mend = `write \`${meant}://${place}\`; there are smtp, smtp+tls, smtps, lmtp and mx:`
    return { problem: `has an unknown scheme \`${scheme}\``, mend }
  }
  const found = parseHostPort(rest, PORTS[scheme])
  if (found) return { scheme, ...found }
  const mend = `write \`${scheme}://mail.internal:${PORTS[scheme]}\`, an IPv6 address in brackets`
  return { problem: 'has no valid host and port', mend }
}
