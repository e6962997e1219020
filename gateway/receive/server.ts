// The gateway's outer door: opens the listeners, counts who comes in, takes new settings, and closes without losing mail.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Directory } from '../../policies/directory/directory.ts'
import type { Check } from '../../policies/policy.ts'
import type { Config, Listener } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { type Reply, reply } from '../reply.ts'
import type { HoldDot, IncomingStore } from './answer.ts'
import type { Gate } from './conversation.ts'
import { createDoor, type Door, networks, plainAddress } from './limits.ts'
import { createPlaces } from './places.ts'
import { GatewayServer } from './protocol.ts'
import { createRecipients } from './recipient.ts'
import { BUSY } from './refusals.ts'
import { createSession, type Shared } from './session.ts'
import { type Certificates, loadCertificates } from './tls.ts'

export type ReceiveOptions = {
  config: Config
  events: Events
  store: IncomingStore
  directories: ReadonlyMap<string, Directory>
  checks: readonly Check[]
  hold: HoldDot
  /** Why mail can't be taken now; undefined when ready. Said as 421 4.3.2 at connect, as it is at MAIL. */
  unready(): Reply | undefined
  /** Milliseconds over which the rate of DATA is measured. */
  rateWindowMs?: number
}

export type Receive = {
  /** Where it listens, in the order of `listen`; the port is the real one. */
  listening: { listener: string; port: number }[]
  /**
   * New certificates, limits, domains and directories, for new commands of open sessions too. Rejects, and
   * changes nothing, where a certificate or network is of no use.
   */
  reload(config: Config, directories: ReadonlyMap<string, Directory>): Promise<void>
  /** Stops accepting; a message on its way is finished. Resolves when all are gone, or were destroyed after `graceMs`. */
  stop(graceMs: number): Promise<void>
  connections(): number
  /** Whether clients were refused just now because the most messages are held already. */
  busy(): boolean
} & AsyncDisposable

const RATE_WINDOW_MS = 60_000
const DISABLED = ['AUTH', 'WIZ', 'SHELL', 'KILL', 'HELP', 'XCLIENT', 'XFORWARD', 'LHLO']

/** What a reload replaces of one listener. */
type Trust = { certificates: Certificates | undefined; proxies: (address: string) => boolean }
type Port = { name: string; server: GatewayServer; trust: Trust }

const CROWDED: Record<'total' | 'per-client', Reply> = {
  total: reply(421, '4.7.0', 'Too many connections, try again later'),
  'per-client': reply(421, '4.7.0', 'Too many connections from you, try again later'),
}

async function prove(listener: Listener): Promise<Trust> {
  const proxies = networks(listener.proxyProtocol)
  return { certificates: await loadCertificates(listener.tls), proxies }
}

/** `0.0.0.0:25`, `[::]:25` */
export function parseListen(address: string): { host: string; port: number } {
  const [, literal, name, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? []
  if (port === undefined) throw new Error(`not an address to listen on: ${address}`)
  return { host: literal ?? (name || '0.0.0.0'), port: Number(port) }
}

type Inside = {
  shared: Shared
  door: Door
  exempt: (address: string) => boolean
}

function createGate(name: string, trust: () => Trust, inside: Inside): Gate {
  const { shared, door } = inside
  const refuse = (address: string, reason: string, said: Reply) => {
    shared.events.connectionRefused({ listener: name, address, reason })
    return said
  }
  return {
    believesProxy: address => trust().proxies(address),
    enter(raw) {
      const address = plainAddress(raw)
      const why = shared.unready()
      if (why) return refuse(address, 'not-ready', reply(421, '4.3.2', why.text))
      if (shared.places.full())
        return refuse(address, BUSY.reason, reply(421, '4.3.2', BUSY.reply.text))
      const full = door.enter(address)
      return full === undefined ? undefined : refuse(address, full, CROWDED[full])
    },
    open(line, entered) {
      const { promise, resolve } = Promise.withResolvers<void>()
      // A listener is closed a little before its last connection says so.
      shared.track(promise)
      return createSession(shared, line, name, () => {
        door.leave(plainAddress(entered))
        resolve()
      })
    },
    handshake: (address, pending) =>
      pending < shared.config.limits.connectionsPerClient ||
      trust().proxies(address) ||
      inside.exempt(plainAddress(address)),
    chooseContext: servername => trust().certificates?.choose(servername),
  }
}

function createServer(listener: Listener, gate: Gate, trust: Trust, config: Config): GatewayServer {
  const { certificates } = trust
  return new GatewayServer(
    {
      name: config.hostname,
      heloResponse: '%s',
      size: config.maxMessageSize,
      // The refusal is ours: what is over the limit is not kept.
      rejectOversized: false,
      secure: listener.implicit,
      hideENHANCEDSTATUSCODES: false,
      hideSMTPUTF8: !config.smtpUtf8,
      disabledCommands: certificates ? DISABLED : [...DISABLED, 'STARTTLS'],
      disableReverseLookup: true,
      maxClients: config.limits.connections,
      socketTimeout: config.limits.idle,
      logger: false,
      ...(certificates && { cert: certificates.cert, key: certificates.key }),
      minVersion: 'TLSv1.2',
    },
    gate,
  )
}

async function listen(port: Port, events: Events): Promise<number> {
  const { host, port: number } = parseListen(port.name)
  const { server } = port
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port: number }, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  // A client's reset in the middle of a transaction comes here too, and would end the process unheard.
  server.on('error', (error: Error & { remoteAddress?: string; meta?: unknown }) => {
    if (error.remoteAddress === undefined && error.meta === undefined) {
      events.fault({ where: `listener ${port.name}`, error })
    }
  })
  const bound = server.server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : number
}

async function stopAll(
  ports: Port[],
  shared: Shared,
  work: Set<Promise<unknown>>,
  graceMs: number,
) {
  shared.stopping = true
  const closed = ports.map(({ server }) => {
    server.stopping = true
    server.options.closeTimeout = graceMs
    // Not the library's callback: that one fires at its own deadline.
    const gone = new Promise<void>(resolve => server.server.once('close', () => resolve()))
    server.close()
    for (const connection of server.gatewayConnections()) connection.dismiss()
    return gone
  })
  const settled = async () => {
    await Promise.all(closed)
    while (work.size > 0) await Promise.allSettled(work)
  }
  const deadline = new AbortController()
  const late = sleep(graceMs, undefined, { signal: deadline.signal }).catch(() => undefined)
  await Promise.race([settled(), late])
  deadline.abort()
  for (const { server } of ports) {
    server.destroyAll()
    // Left running, it would keep a finished process's next commands refused and its timer alive.
    if (server._closeTimeout) clearTimeout(server._closeTimeout)
  }
}

/** Opens every listener; rejects, with none left open, if one of them can't be. */
export async function createReceive(options: ReceiveOptions): Promise<Receive> {
  const { config, events, directories } = options
  const work = new Set<Promise<unknown>>()
  const shared: Shared = {
    ...options,
    places: createPlaces(() => shared.config.limits.held),
    unready: () => options.unready(),
    recipients: createRecipients(config, directories, events),
    rateWindowMs: options.rateWindowMs ?? RATE_WINDOW_MS,
    stopping: false,
    track(promise) {
      const done = () => void work.delete(settled)
      const settled: Promise<unknown> = promise.then(done, done)
      work.add(settled)
    },
  }
  let exempt = networks(config.limits.exempt)
  const isExempt = (address: string) => exempt(address)
  const door = createDoor(() => shared.config.limits, isExempt)
  const trusts = await Promise.all(config.listen.map(prove))
  const ports = config.listen.map((listener, index): Port => {
    const trust = trusts[index]
    if (!trust) throw new Error('unreachable: one trust for each listener')
    const gate = createGate(listener.address, () => port.trust, { shared, door, exempt: isExempt })
    const server = createServer(listener, gate, trust, config)
    const port: Port = { name: listener.address, server, trust }
    return port
  })
  let stopped: Promise<void> | undefined
  const stop = (graceMs: number) => {
    stopped ??= stopAll(ports, shared, work, graceMs)
    return stopped
  }
  const listening: Receive['listening'] = []
  try {
    for (const port of ports) {
      listening.push({ listener: port.name, port: await listen(port, events) })
    }
  } catch (error) {
    await stop(0)
    throw error
  }
  return {
    listening,
    async reload(next, nextDirectories) {
      const fresh = new Map<string, Trust>()
      for (const listener of next.listen) fresh.set(listener.address, await prove(listener))
      const nextExempt = networks(next.limits.exempt)
      const recipients = createRecipients(next, nextDirectories, events)
      // From here on nothing can fail.
      exempt = nextExempt
      Object.assign(shared, { config: next, recipients })
      for (const port of ports) {
        refresh(port, fresh.get(port.name), next, events)
        fresh.delete(port.name)
      }
      for (const name of fresh.keys()) warnUnchanged(name, events)
    },
    stop,
    connections: () => door.count,
    busy: shared.places.busy,
    [Symbol.asyncDispose]: () => stop(0),
  }
}

/** Addresses, and whether a listener has TLS at all, stay as they were at start. */
function refresh(port: Port, trust: Trust | undefined, config: Config, events: Events): void {
  const { server } = port
  server.options.size = config.maxMessageSize
  server.options.name = config.hostname
  server.options.hideSMTPUTF8 = !config.smtpUtf8
  server.options.maxClients = config.limits.connections
  server.options.socketTimeout = config.limits.idle
  const hadTls = port.trust.certificates !== undefined
  if (trust && hadTls === (trust.certificates !== undefined)) {
    port.trust = trust
    const context = trust.certificates?.choose('')
    if (context) server.secureContext = new Map([['*', context]])
    return
  }
  warnUnchanged(port.name, events)
}

/** The worker may have given up the right to bind the port. */
function warnUnchanged(listener: string, events: Events): void {
  const text = `${listener}: listeners are added and removed, and get or lose TLS, at the next start`
  events.warned({ name: 'listener-unchanged', text })
}
