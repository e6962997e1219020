// One LDAP server: the proof behind "unknown", and the rest it is given after a failure.
import type { Filter } from 'ldapjs'
import type { LdapConnection, LdapTarget, Searched } from './ldap-connection.ts'
import { createLdapPool } from './ldap-pool.ts'

type Ldapjs = typeof import('ldapjs')

export type Answer =
  | { existence: 'exists' | 'unknown' }
  | { existence: 'unavailable'; cause: string }

export type LdapServer = {
  /** `host:port`. */
  address: string
  /** Whether it may be asked now. After a rest one caller alone is told so, and tries it for all. */
  admits(): boolean
  ask(filter: Filter, timeoutMs: number): Promise<Answer>
  /** Why it rests, while it does. */
  lastCause: string
  close(): void
}

export type LdapServerOptions = {
  connections: number
  onChange(change: { address: string; up: boolean; cause?: string }): void
}

const LIMITS = {
  firstRestMs: 500,
  longestRestMs: 30_000,
}

/** What Active Directory names below every domain; no mailbox is ever in there. */
const WITHOUT_MAILBOXES = /(?:CN=Configuration|DC=(?:Domain|Forest)DnsZones)\b/i

const portOf = (url: URL) => url.port || (url.protocol === 'ldaps:' ? '636' : '389')

export function createLdapServer(
  ldapjs: Ldapjs,
  target: LdapTarget,
  options: LdapServerOptions,
): LdapServer {
  const url = new URL(target.url)
  const address = `${url.hostname}:${portOf(url)}`
  const pool = createLdapPool(ldapjs, target, options.connections)
  let up: boolean | undefined
  let failures = 0
  let restsUntil = 0
  let probing = false
  let lastCause = ''
  let closed = false

  const succeeded = () => {
    failures = 0
    probing = false
    if (up !== true) options.onChange({ address, up: true })
    up = true
  }
  const failed = (cause: string) => {
    if (closed) return
    lastCause = cause
    // Of many that fail together only the first counts.
    if (failures === 0 || probing) {
      const restMs = LIMITS.firstRestMs * 2 ** Math.min(failures++, 16)
      restsUntil = Date.now() + Math.min(LIMITS.longestRestMs, restMs)
      probing = false
    }
    if (up !== false) options.onChange({ address, up: false, cause })
    up = false
  }

  return {
    address,
    get lastCause() {
      return lastCause
    },
    admits() {
      if (failures === 0) return true
      if (probing || Date.now() < restsUntil) return false
      probing = true
      return true
    },
    async ask(filter, timeoutMs) {
      const until = Date.now() + timeoutMs
      const left = () => Math.max(1, until - Date.now())
      for (let retried = false; ; retried = true) {
        const used = await pool.use(left(), async (connection, fresh) => ({
          answer: await prove(ldapjs, connection, filter, left),
          fresh,
        }))
        if ('cause' in used) {
          if (used.fault) failed(used.cause)
          else probing = false
          return { existence: 'unavailable', cause: used.cause }
        }
        const { answer, fresh } = used
        if (answer.existence !== 'unavailable' || !answer.fault) {
          succeeded()
          return answer
        }
        // A connection that was idle may have been closed by the server without anything being wrong.
        if (answer.broken && !fresh && !retried && left() > 1) continue
        failed(answer.cause)
        return answer
      }
    },
    close() {
      closed = true
      pool.close()
    },
  }
}

type Proven =
  | { existence: 'exists' | 'unknown' }
  | { existence: 'unavailable'; cause: string; fault: boolean; broken: boolean }

/**
 * Nothing found counts as "unknown" only if the same connection can still read the base. Without the base, with
 * a bind that was lost, or with parts of the tree on other servers, nothing is known. `fault` is the server's.
 */
async function prove(
  ldapjs: Ldapjs,
  connection: LdapConnection,
  filter: Filter,
  left: () => number,
): Promise<Proven> {
  const searched = await connection.search('sub', filter, left())
  if (searched.result === 'found') return { existence: 'exists' }
  if (searched.result === 'failed' && searched.broken) return unavailable(searched.cause, searched)
  const anything = new ldapjs.PresenceFilter({ attribute: 'objectClass' })
  const base = await connection.search('base', anything, left())
  if (base.result !== 'found') {
    const why = base.result === 'failed' ? base.cause : 'it is not shown to us'
    const cause = searched.result === 'failed' ? `${searched.cause}; ` : ''
    return unavailable(`${cause}the base cannot be read: ${why}`, base)
  }
  // An answer about this one search, for instance that it takes too long, is no reason to leave the server alone.
  if (searched.result === 'failed') {
    return { existence: 'unavailable', cause: searched.cause, fault: false, broken: false }
  }
  const elsewhere = searched.elsewhere.filter(uri => !WITHOUT_MAILBOXES.test(uri))
  if (elsewhere.length === 0) return { existence: 'unknown' }
  const cause = `part of the base is on another server: ${elsewhere.join(', ').slice(0, 200)}`
  return { existence: 'unavailable', cause, fault: false, broken: false }
}

const unavailable = (cause: string, searched: Searched): Proven => ({
  existence: 'unavailable',
  cause,
  fault: true,
  broken: searched.result === 'failed' && searched.broken,
})
