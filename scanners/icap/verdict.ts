// What an ICAP reply says of the content sent: a threat by any vendor's field, blocked, unchanged, or nothing at all.

import type { FailureKind, Verdict } from '../scanner.ts'
import type { Fields, IcapReply } from './reply.ts'

const NAME_CHARACTERS = 200

/** Fields whose mere presence, with a value that names something, is a threat: Trend Micro, ESET, McAfee, F-Secure. */
const NAMING = ['x-virus-id', 'x-virus-name', 'x-fsecure-infection-name']
/** Fields that say `blocked`: OPSWAT, McAfee, Broadcom. */
const SAYING = ['x-response-info', 'x-block-result', 'x-blocked', 'x-fsecure-scan-result']
const NOTHING = /^(|-|0|none|no|false|clean|no threats?(?: found)?)$/i

/** A threat, or something the service could not open; undefined where no field speaks of one. */
export function threatIn({ fields, carried }: IcapReply): Verdict | undefined {
  return threatOf(fields) ?? (carried && threatOf(carried.fields))
}

/** Draft-stecher-icap-subid: `X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;`. */
function threatOf(fields: Fields): Verdict | undefined {
  const found = fields.get('x-infection-found')
  const violations = fields.get('x-violations-found')
  const names = NAMING.map(name => fields.get(name)).filter(isSomething)
  if (found !== undefined && found !== '') {
    const threat = /Threat=([^;\n]*)/i.exec(found)?.[1] ?? names[0] ?? found
    return /(^|;)\s*Type=2\s*(;|$)/i.test(found) ? unopened(threat) : infected(threat)
  }
  if (names[0] !== undefined) return infected(names[0])
  // The count, then four lines for each: file, threat, problem, resolution.
  if (violations !== undefined && violations !== '0')
    return infected(violations.split('\n')[2] ?? 'X-Violations-Found')
  const said = SAYING.find(name => /^(block|infected|1\b|true)/i.test(fields.get(name) ?? ''))
  if (said === undefined) return undefined
  return infected(fields.get('x-response-desc') ?? `${said}: ${fields.get(said)}`)
}

const isSomething = (value: string | undefined): value is string =>
  value !== undefined && !NOTHING.test(value)

const infected = (name: string): Verdict => {
  const shown = name.replace(/[^\x20-\x7e]+/g, ' ').trim()
  return { kind: 'infected', name: shown.slice(0, NAME_CHARACTERS) || 'unnamed' }
}

/** A "container violation": the service could not look inside. */
const unopened = (threat: string): Verdict => ({
  kind: 'unscannable',
  reasons: [/encrypt|password/i.test(threat) ? 'encrypted-archive' : 'unsupported-archive'],
})

const FAILURES: Record<number, FailureKind> = {
  404: 'down',
  405: 'down',
  408: 'slow',
  413: 'limit',
  500: 'down',
  502: 'down',
  503: 'down',
  504: 'slow',
}

/** `same`: what came back is octet by octet what was sent. `complete`: the server replied when it had all of it. */
export function judgeIcapReply(
  reply: IcapReply,
  { same, complete }: { same: boolean; complete: boolean },
): Verdict {
  const threat = threatIn(reply)
  if (threat) return threat
  const { status, carried } = reply
  if (status !== 200 && status !== 204)
    return failed(FAILURES[status] ?? 'garbled', `replied ${status}`)
  const blocked = status === 200 ? blockedBy(carried) : undefined
  if (blocked) return blocked
  if (!complete) return failed('garbled', 'it replied before it had everything')
  if (status === 204) return { kind: 'clean' }
  // Not every server says 204; one that found nothing sends all of it back (RFC 3507 §4.6).
  return same ? { kind: 'clean' } : failed('garbled', 'it changed the content without a reason')
}

/** RFC 3507 §3.1, §3.2: instead of what was sent, an answer of the service's own. */
function blockedBy(carried: IcapReply['carried']): Verdict | undefined {
  if (!carried) return failed('garbled', 'its reply carries no header')
  if (carried.kind === 'request') return undefined
  const status = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(carried.first)?.[1]
  if (status === undefined) return failed('garbled', 'it carries no HTTP response')
  if (status.startsWith('4')) return infected(`blocked by the service (${status})`)
  return status === '200' ? undefined : failed('garbled', `it carries an HTTP ${status}`)
}

const failed = (failure: FailureKind, cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})
