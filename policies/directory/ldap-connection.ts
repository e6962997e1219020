// One LDAP connection by ldapjs from its birth to its end: it is never mended, and nothing on it waits without a deadline.
import net from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Client, Filter, SearchOptions } from 'ldapjs'

type Ldapjs = typeof import('ldapjs')

/** Where and how to connect. */
export type LdapTarget = {
  url: string
  startTls: boolean
  /** For `ldaps://` and StartTLS; certificates are always verified. */
  tls: ConnectionOptions
  base: string
  bindDn?: string
  /** Asked for at each connect, so that a changed secret needs no restart. Never resolves with an empty one. */
  bindPassword?: () => Promise<string>
}

/**
 * - `elsewhere` lists references to servers that hold parts of what was searched.
 * - `broken` means the connection is of no more use; `code` is the server's result code where it gave one.
 */
export type Searched =
  | { result: 'found' }
  | { result: 'none'; elsewhere: string[] }
  | { result: 'failed'; cause: string; broken: boolean; code?: number }

export type LdapConnection = {
  /** Searches below the base, for the mailbox; or the base itself, to prove that this connection may read. */
  search(scope: 'sub' | 'base', filter: Filter, timeoutMs: number): Promise<Searched>
  readonly alive: boolean
  close(): void
}

const SIZE_LIMIT_EXCEEDED = 4
/** Only existence matters: RFC 4511 §4.5.1.8. */
const NO_ATTRIBUTES = ['1.1']

const hostOf = (url: string) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')

const words = (error: unknown): string => {
  if (!(error instanceof Error)) return 'connection failed'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return [error.name === 'Error' ? '' : error.name, code, error.message]
    .filter((part, i, all) => part !== '' && !all.slice(0, i).some(p => p.includes(part)))
    .join(' ')
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 300)
}

/** Connects, secures and binds within `timeoutMs`. Answers the cause where it can't. Never rejects. */
export async function openConnection(
  ldapjs: Ldapjs,
  target: LdapTarget,
  timeoutMs: number,
): Promise<LdapConnection | string> {
  let client: Client
  try {
    client = createClient(ldapjs, target, await target.bindPassword?.(), timeoutMs)
  } catch (error) {
    return words(error)
  }
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      client.destroy()
      resolve(`not connected and bound within ${timeoutMs} ms`)
    }, timeoutMs)
    client.once('connect', () => {
      clearTimeout(timer)
      resolve(connected(client, target.base))
    })
    // For the client's whole life: without a listener an error would end the process.
    client.on('error', error => {
      clearTimeout(timer)
      client.destroy()
      resolve(words(error))
    })
  })
}

function createClient(
  ldapjs: Ldapjs,
  target: LdapTarget,
  password: string | undefined,
  timeoutMs: number,
): Client {
  const host = hostOf(target.url)
  const tls: ConnectionOptions = { minVersion: 'TLSv1.2', ...target.tls, host }
  if (net.isIP(host) === 0) tls.servername = host
  const bind =
    target.bindDn !== undefined && password !== undefined
      ? { bindDN: target.bindDn, bindCredentials: password }
      : {}
  const client = ldapjs.createClient({
    url: target.url,
    tlsOptions: tls,
    // Nothing is queued while unconnected, and there is no reconnecting: both never settle.
    queueDisable: true,
    // Without it a connect that is never answered keeps its socket after destroy().
    connectTimeout: timeoutMs,
    ...bind,
  })
  // ldapjs leaves the brackets of an IPv6 address on, which no resolver takes.
  for (const url of (client as unknown as { urls: { hostname: string }[] }).urls) {
    url.hostname = host
  }
  if (target.startTls && !target.url.startsWith('ldaps:')) {
    // Before the bind that ldapjs put there: the password must not go in the clear.
    client.prependListener('setup', (connection: Client, done: (error?: unknown) => void) =>
      connection.starttls(tls, [], done),
    )
  }
  return client
}

function connected(client: Client, base: string): LdapConnection {
  let alive = true
  const underWay = new Set<(cause: string) => void>()
  const end = (cause: string) => {
    if (!alive) return
    alive = false
    client.destroy()
    for (const fail of [...underWay]) fail(cause)
  }
  client.on('error', error => end(words(error)))
  client.on('end', () => end('the server closed the connection'))
  client.on('close', () => end('the connection was lost'))
  return {
    get alive() {
      return alive
    },
    close: () => end('closed'),
    search(scope, filter, timeoutMs) {
      if (!alive) {
        return Promise.resolve({ result: 'failed', cause: 'the connection was lost', broken: true })
      }
      const options: SearchOptions = {
        scope,
        filter,
        attributes: NO_ATTRIBUTES,
        sizeLimit: 2,
        timeLimit: Math.max(1, Math.ceil(timeoutMs / 1000)),
      }
      return new Promise(resolve => {
        const finish = (searched: Searched) => {
          clearTimeout(timer)
          underWay.delete(broke)
          resolve(searched)
        }
        const broke = (cause: string) => finish({ result: 'failed', cause, broken: true })
        const timer = setTimeout(() => end(`no answer within ${timeoutMs} ms`), timeoutMs)
        underWay.add(broke)
        run(client, base, options, resolve, finish)
      })
    },
  }
}

/** `found` may be called early, at the first entry: the deadline goes on until the server has finished. */
function run(
  client: Client,
  base: string,
  options: SearchOptions,
  found: (searched: Searched) => void,
  finish: (searched: Searched) => void,
): void {
  let entries = 0
  const elsewhere: string[] = []
  const failed = (error: unknown) => {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : 0
    if (entries > 0 && code === SIZE_LIMIT_EXCEEDED) return finish({ result: 'found' })
    const result = { result: 'failed', cause: words(error), broken: false } as const
    finish(typeof code === 'number' ? { ...result, code } : result)
  }
  try {
    client.search(base, options, (error, response) => {
      if (error) return failed(error)
      response.on('searchEntry', () => {
        entries++
        found({ result: 'found' })
      })
      response.on('searchReference', (reference: { uris?: string[] }) => {
        elsewhere.push(...(reference.uris ?? ['unnamed']).slice(0, 4))
        elsewhere.splice(16)
      })
      response.on('error', failed)
      response.on('end', () =>
        finish(entries > 0 ? { result: 'found' } : { result: 'none', elsewhere }),
      )
    })
  } catch (error) {
    failed(error)
  }
}
