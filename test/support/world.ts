// The servers a journey runs through, all real and private: next hop, clamd, redis, and on request rspamd, slapd and DNS.
import type { DomainConfig } from '../../gateway/config/schema.ts'
import { lastOf, type Mail, type Said, type Sent, sendMail } from './client.ts'
import { plainMessage } from './eicar.ts'
import { type Gateway, type GatewayConfig, startGateway } from './gateway.ts'
import { until } from './process.ts'
import { type Clamd, type ClamdOptions, startClamd } from './servers/clamd.ts'
import { startDns, type TestDns, type Zone } from './servers/dns.ts'
import {
  type NextHop,
  type NextHopOptions,
  type Received,
  startNextHop,
} from './servers/next-hop.ts'
import { startRedis, type TestRedis } from './servers/redis.ts'
import { type Rspamd, startRspamd } from './servers/rspamd.ts'
import { person, type Slapd, startSlapd } from './servers/slapd.ts'

export type World = {
  gateway: Gateway
  nextHop: NextHop
  clamd: Clamd
  redis: TestRedis
  dns: TestDns
  /** There where asked for; asking for one that isn't throws. */
  rspamd(): Rspamd
  slapd(): Slapd
  /** From alice@sender.test to bob@example.org, plain, unless said otherwise. */
  send(mail?: Partial<Mail>): Promise<Sent>
  /** What the next hop got with this Message-ID. */
  arrived(messageId: string): Received[]
  /** Waits until a message is answered with 250 again. */
  flows(timeoutMs?: number): Promise<void>
  /** Waits until nothing is in custody any more. */
  settled(timeoutMs?: number): Promise<void>
} & AsyncDisposable

export type WorldOptions = {
  rspamd?: boolean
  /** Holds bob and carol of example.org; without it every local part is taken. */
  slapd?: boolean
  zone?: Zone
  nextHop?: NextHopOptions
  domain?: Partial<DomainConfig>
  /** Settings of `scanners.clamav` beside its addresses. */
  clamav?: { deadlineMs?: number }
  clamd?: ClamdOptions
  /** Don't wait for the gateway to be ready. */
  waitReady?: boolean
  config?: Partial<GatewayConfig>
}

/** Starts everything side by side, then the gateway. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const dns = stack.use(await startDns(options.zone))
  const people = [person('bob', 'bob@example.org'), person('carol', 'carol@example.org')]
  const [nextHop, clamd, redis, rspamd, slapd] = await Promise.all([
    startNextHop(options.nextHop).then(server => stack.use(server)),
    startClamd(options.clamd).then(server => stack.use(server)),
    startRedis().then(server => stack.use(server)),
    options.rspamd
      ? startRspamd({ nameserver: dns.address }).then(server => stack.use(server))
      : undefined,
    options.slapd
      ? startSlapd({ entries: people, bindRequired: true }).then(server => stack.use(server))
      : undefined,
  ])
  const domain = {
    nextHop: nextHop.url,
    ...(slapd ? { directory: 'staff' } : {}),
    ...options.domain,
  }
  const gateway = stack.use(
    await startGateway({
      waitReady: options.waitReady ?? true,
      config: {
        redis: redis.url,
        domains: { 'example.org': domain },
        ...(slapd ? { directory: { staff: { ...staff(slapd), negativeTtl: '1s' } } } : {}),
        scanners: {
          clamav: { addresses: [clamd.unix], restMs: 200, ...options.clamav },
          ...(rspamd ? { rspamd: { url: rspamd.url } } : {}),
        },
        dns: { servers: [dns.address] },
        retry: { first: '1s', longest: '2s' },
        limits: { exempt: ['127.0.0.0/8'] },
        ...options.config,
      },
    }),
  )
  const servers = stack.move()
  const there = <T>(server: T | undefined, name: string): T => {
    if (server === undefined) throw new Error(`this world has no ${name}`)
    return server
  }
  return {
    gateway,
    nextHop,
    clamd,
    redis,
    dns,
    rspamd: () => there(rspamd, 'rspamd'),
    slapd: () => there(slapd, 'slapd'),
    send: (mail = {}) => sendMail({ ...usual, port: gateway.port, ...mail }),
    arrived: messageId =>
      nextHop.received.filter(mail => mail.content.includes(`Message-ID: <${messageId}>`)),
    async flows(timeoutMs = 60_000) {
      const taken = async () => {
        const sent = await sendMail({ ...usual, port: gateway.port }).catch(() => undefined)
        return sent?.dot?.code === 250
      }
      await until('mail to flow again', taken, timeoutMs)
    },
    async settled(timeoutMs = 30_000) {
      const empty = async () => (await gateway.spooled('queued')).length === 0
      await until('custody to be empty', empty, timeoutMs)
    },
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  }
}

const usual = {
  from: 'alice@sender.test',
  to: ['bob@example.org'],
  content: plainMessage(),
}

const staff = (slapd: Slapd) => ({
  ldap: {
    urls: [slapd.url],
    base: slapd.base,
    bindDn: slapd.bindDn,
    bindPassword: slapd.bindPassword,
    deadlineMs: 2000,
  },
})

/** `550 5.1.1`: the codes of a reply, for comparing. */
export const codes = (said: Said | undefined): string =>
  said === undefined ? 'nothing' : `${said.code} ${said.enhanced}`

/** The codes of what the client heard last. */
export const ending = (sent: Sent): string => codes(lastOf(sent))

/** The octets a next hop got, split where the content that was sent begins; undefined where it doesn't end with it. */
export function addedTo(content: Buffer, received: Received | undefined): string | undefined {
  if (received === undefined) return undefined
  const at = received.content.length - content.length
  if (at < 0 || !received.content.subarray(at).equals(content)) return undefined
  return received.content.toString('latin1', 0, at)
}

/** Every part of the ledger, and what is left when they are added up: 0 when the accounts are right. */
export async function ledgerOf(gateway: Gateway): Promise<Record<string, number>> {
  const samples = await gateway.metrics()
  const part = (name: string) => samples('sallyport_ledger_recipients_total', { part: name })
  const parts = {
    accepted: part('accepted'),
    recovered: part('recovered'),
    relayed: part('relayed'),
    quarantined: part('quarantined'),
    discarded: part('discarded'),
    notified: part('notified'),
    elsewhere: part('elsewhere'),
    custody: samples('sallyport_custody_recipients'),
  }
  const { accepted, recovered, ...ends } = parts
  const ended = Object.values(ends).reduce((sum, count) => sum + count, 0)
  return { ...parts, missing: accepted + recovered - ended }
}
