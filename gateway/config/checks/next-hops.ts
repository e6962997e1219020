// Next hops: well-formed, and never ourselves (a mail loop).
import type { Path } from '../faults.ts'
import { isLoopback, parseListenAddress } from '../names.ts'
import { type NextHopUrl, parseNextHopUrl } from '../next-hop-url.ts'
import type { Settings } from '../shape.ts'
import type { Check, CheckContext } from './check.ts'

export const checkNextHops: Check = (settings, context) => {
  const ours = new Set(Object.keys(settings.domains ?? {}))
  for (const [name, { nextHop }] of Object.entries(settings.domains ?? {})) {
    const path = ['domains', name, 'nextHop']
    for (const [i, one] of [nextHop].flat().entries()) {
      const at = typeof nextHop === 'string' ? path : [...path, i]
      checkNextHop(one, at, settings, ours, context)
    }
  }
  const out = settings.notifications?.nextHop
  if (out !== undefined) {
    checkNextHop(out, ['notifications', 'nextHop'], settings, ours, context)
  }
}

function checkNextHop(
  text: string,
  path: Path,
  settings: Partial<Settings>,
  ours: ReadonlySet<string>,
  { findings, shown, machine }: CheckContext,
): void {
  const parsed = parseNextHopUrl(text)
  if ('problem' in parsed) {
    findings.fault(path, `${shown(path)} ${parsed.problem}`, parsed.mend)
    return
  }
  const loops =
    parsed.scheme === 'mx'
      ? ours.has(parsed.domain) || parsed.domain === settings.hostname?.toLowerCase()
      : isOurs(parsed, settings, machine.ownAddresses)
  if (!loops) return
  const mend = "name the internal mail server's own host and port"
  findings.fault(path, `${shown(path)} leads back to ourselves: mail would loop`, mend)
}

function isOurs(
  { host, port }: Extract<NextHopUrl, { host: string }>,
  { hostname, listen }: Partial<Settings>,
  ownAddresses: readonly string[],
): boolean {
  const isThisMachine =
    host === hostname?.toLowerCase() || isLoopback(host) || ownAddresses.includes(host)
  return (listen ?? []).some(listener => {
    const bound = parseListenAddress(listener.address)
    if (!bound || bound.port !== port) return false
    const isWildcard = bound.host === '0.0.0.0' || bound.host === '::'
    // A name resolves we don't know where to; ours and `localhost` are taken to reach any listener.
    const isByName = host === 'localhost' || host === hostname?.toLowerCase()
    return bound.host === host || (isThisMachine && (isWildcard || isByName))
  })
}
