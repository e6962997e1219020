// One connection to a next hop, opened up to the answer to EHLO or LHLO; nodemailer speaks, we keep the time.
import net from 'node:net'
import type tls from 'node:tls'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Target } from './next-hop.ts'
import { LARGEST_REPLY, parseReply } from './replies.ts'
import type { Timeouts } from './timeouts.ts'

/** Why there is no connection, or no longer. */
export type Failure = {
  kind: 'resolve' | 'connect' | 'greeting' | 'tls' | 'lost' | 'timeout' | 'aborted' | 'busy'
  /** For the log, one line. */
  detail: string
}

export type Capabilities = {
  eightBitMime: boolean
  smtpUtf8: boolean
  /** The largest message it takes, where it says so (RFC 1870 §4). */
  sizeBytes?: number
}

export type Connection = {
  smtp: SMTPConnection
  capabilities: Capabilities
  /** Transactions begun on it. */
  transactions: number
  /** Adds SMTPUTF8 to the next MAIL even where all addresses are ASCII. */
  forceSmtpUtf8(on: boolean): void
  /** False once it is closed, by either side. */
  alive(): boolean
  /** Calls once, when it has ended. */
  onEnd(listener: () => void): void
  /** At once, whatever it is doing. */
  close(): void
  /** QUIT, and the end; at most `quitMs`. */
  quit(): void
}

export type ConnectionOptions = {
  hostname: string
  timeouts: Timeouts
  /** PEM texts to trust where the certificate is verified. */
  authorities: () => string[]
}

/** Never rejects. Opportunistic TLS that fails is tried once more without, on a fresh connection. */
export async function openConnection(
  target: Target,
  options: ConnectionOptions,
  signal?: AbortSignal,
): Promise<Connection | Failure> {
  const first = await openOnce(target, options, false, signal)
  if (!('kind' in first) || first.kind !== 'tls' || target.security !== 'opportunistic')
    return first
  return openOnce(target, options, true, signal)
}

async function openOnce(
  target: Target,
  options: ConnectionOptions,
  plain: boolean,
  signal?: AbortSignal,
): Promise<Connection | Failure> {
  const socket = await dial(target, options.timeouts.connectMs, signal)
  if ('kind' in socket) return socket
  return introduce(socket, target, options, plain, signal)
}

/** The system's resolver (and /etc/hosts), each address in turn; bounded as a whole. */
function dial(
  target: Target,
  connectMs: number,
  signal?: AbortSignal,
): Promise<net.Socket | Failure> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve({ kind: 'aborted', detail: 'interrupted' })
    const { host, port } = target
    const attempt = Math.max(250, Math.floor(connectMs / 4))
    const socket = net.connect({ host, port, autoSelectFamilyAttemptTimeout: attempt })
    const end = (result: net.Socket | Failure) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      if ('kind' in result) socket.destroy()
      resolve(result)
    }
    const abort = () => end({ kind: 'aborted', detail: 'interrupted' })
    const timer = setTimeout(
      () => end({ kind: 'connect', detail: `no connection within ${connectMs} ms` }),
      connectMs,
    )
    signal?.addEventListener('abort', abort)
    socket.once('connect', () => end(socket))
    // Stays for good: between here and nodemailer's own listeners an error must not be fatal.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const kind = error.syscall === 'getaddrinfo' ? 'resolve' : 'connect'
      end({ kind, detail: error.message || String(error.code) })
    })
  })
}

function introduce(
  socket: net.Socket,
  target: Target,
  options: ConnectionOptions,
  plain: boolean,
  signal?: AbortSignal,
): Promise<Connection | Failure> {
  const { timeouts } = options
  const setupMs = timeouts.greetingMs + timeouts.commandMs
  const smtp = new SMTPConnection({
    connection: socket,
    host: target.host,
    port: target.port,
    name: options.hostname,
    lmtp: target.protocol === 'lmtp',
    secure: target.security === 'implicit',
    requireTLS: target.security === 'starttls',
    ignoreTLS: plain,
    tls: tlsOptions(target, options),
    connectionTimeout: setupMs,
    greetingTimeout: timeouts.greetingMs,
    // Only a net below our own deadlines: it counts any octet as life.
    socketTimeout: 2 * (setupMs + timeouts.chunkMs + timeouts.finalMs),
    socketCloseTimeout: 0,
    maxResponseSize: LARGEST_REPLY,
  })
  return new Promise(resolve => {
    let settled = false
    const end = (result: Connection | Failure) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      if ('kind' in result) smtp.close()
      resolve(result)
    }
    const fail = (error: Error | undefined) => {
      const kind = failedInTls(smtp, target, error) ? 'tls' : 'greeting'
      const detail = (error?.message ?? 'connection closed').replace(/\s+/g, ' ').slice(0, 500)
      end({ kind, detail })
    }
    const abort = () => end({ kind: 'aborted', detail: 'interrupted' })
    const timer = setTimeout(() => fail(new Error(`no session within ${setupMs} ms`)), setupMs)
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
    // Stays for good: an error after all is settled must not be fatal.
    smtp.on('error', fail)
    smtp.once('end', () => fail(undefined))
    smtp.connect(error => {
      if (error) fail(error)
      else end(connectionOf(smtp, timeouts.quitMs))
    })
  })
}

/** From STARTTLS on, it is TLS that failed; the last reply is then still the one that offered it. */
function failedInTls(smtp: SMTPConnection, target: Target, error: Error | undefined): boolean {
  if (error && 'code' in error && error.code === 'ETLS') return true
  const offered = /[ -]STARTTLS\b/im.test(String(smtp.lastServerResponse))
  return smtp.upgrading === true || offered || (smtp.secure && target.security !== 'implicit')
}

function tlsOptions(target: Target, options: ConnectionOptions): tls.ConnectionOptions {
  const servername = net.isIP(target.host) ? {} : { servername: target.host }
  const base = { minVersion: 'TLSv1.2' as const, ...servername }
  if (target.security === 'opportunistic') return { ...base, rejectUnauthorized: false }
  return { ...base, rejectUnauthorized: true, ca: options.authorities() }
}

/** The one method of nodemailer's that has no public counterpart: SMTPUTF8 depends on the addresses alone there. */
type Internals = { _sendCommand(line: string, logged?: string): void }

function connectionOf(smtp: SMTPConnection, quitMs: number): Connection {
  const internals = smtp as unknown as Internals
  const sendCommand = internals._sendCommand.bind(smtp)
  let forced = false
  internals._sendCommand = (line, logged) => {
    const missing = forced && line.startsWith('MAIL FROM:') && !/> (?:.* )?SMTPUTF8\b/.test(line)
    sendCommand(missing ? `${line} SMTPUTF8` : line, logged)
  }
  return {
    smtp,
    capabilities: capabilitiesOf(String(smtp.lastServerResponse)),
    transactions: 0,
    forceSmtpUtf8: on => {
      forced = on
    },
    alive: () => !smtp.destroyed && (smtp._socket || undefined)?.writable === true,
    onEnd: listener => smtp.once('end', listener),
    close: () => smtp.close(),
    quit() {
      if (smtp.destroyed) return
      const timer = setTimeout(() => smtp.close(), quitMs)
      smtp.once('end', () => clearTimeout(timer))
      smtp.quit()
    },
  }
}

/** From the reply to EHLO or LHLO; that to HELO has no further lines, and so no extensions. */
export function capabilitiesOf(ehlo: string): Capabilities {
  const lines = ehlo.split(/\r?\n/)
  const keywords = new Map<string, string>()
  if (parseReply(lines).code === 250) {
    for (const line of lines.slice(1)) {
      const [keyword = '', value = ''] = line.slice(4).trim().split(/\s+/)
      keywords.set(keyword.toUpperCase(), value)
    }
  }
  const size = Number(keywords.get('SIZE') ?? 0)
  return {
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    ...(Number.isSafeInteger(size) && size > 0 ? { sizeBytes: size } : {}),
  }
}
