// Everything a run needs, real where it can be: Redis, clamd (also behind a door that can lie), slapd, the gateways.
import { chmod, mkdir } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import type { GatewayConfig } from '../support/gateway.ts'
import { freePort, temporaryFolder } from '../support/process.ts'
import { type Clamd, startClamd } from '../support/servers/clamd.ts'
import { type LyingEngine, startLyingEngine } from '../support/servers/lying-engine.ts'
import { startRedis, type TestRedis } from '../support/servers/redis.ts'
import { type Rspamd, startRspamd } from '../support/servers/rspamd.ts'
import { person, type Slapd, startSlapd } from '../support/servers/slapd.ts'
import { type ChaosGateway, createGateway, mountTmpfs } from './gateway.ts'
import { type Inbox, startInbox } from './inbox.ts'
import { ADDRESSES } from './mail.ts'
import { streamOf } from './random.ts'
import type { Record } from './record.ts'

const SPOOL_MIB = 256

/** One gateway; one for each role; or two whole ones on one spool. */
export const LAYOUTS = ['one', 'roles', 'two'] as const
export type Layout = (typeof LAYOUTS)[number]
type Part = { name: string; roles?: string; processes?: { receive: number; work: number } }
const PARTS: { [layout in Layout]: Part[] } = {
  // Two of each kind: what one leaves undone the other takes up, and clients find somebody meanwhile.
  one: [{ name: 'gateway', processes: { receive: 2, work: 2 } }],
  roles: ['receive', 'scan', 'relay'].map(role => ({ name: role, roles: role })),
  two: [{ name: 'first' }, { name: 'second' }],
}

export type Stage = {
  folder: string
  /** Of every gateway, also those that are gone. */
  states: string[]
  spool: string
  /** Whether the spool has a file system of its own. */
  mounted: boolean
  ports: number[]
  redis: TestRedis
  clamd: Clamd
  /** The second clamd of the pool: the same one, behind a door that passes everything on until told otherwise. */
  door: LyingEngine
  slapd: Slapd
  /** Where it was asked for: it takes its time over each message. */
  rspamd: Rspamd | undefined
  inbox: Inbox
  /** Those that are not gone for good. */
  gateways: ChaosGateway[]
} & AsyncDisposable

export type StageOptions = {
  seed: number
  layout: Layout
  rspamd: boolean
  /** Beside the stage's own. */
  limits?: GatewayConfig['limits']
}

export async function setStage(record: Record, options: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('chaos'))
  const spool = path.join(folder.path, 'spool')
  await mkdir(spool, { mode: 0o755 })
  const mount = mountTmpfs(spool, SPOOL_MIB)
  if (mount) stack.defer(() => mount.unmount())
  const redis = stack.use(await startRedis())
  const clamd = stack.use(await startClamd())
  await chmod(clamd.folder, 0o755)
  const door = stack.use(await startLyingEngine(passOn(clamd.socket)))
  const slapd = stack.use(await startSlapd({ entries: people(), bindRequired: true }))
  const rspamd = options.rspamd ? stack.use(await startRspamd()) : undefined
  const inbox = stack.use(await startInbox(record, streamOf(options.seed, 'inbox')))
  const around = {
    hostname: 'mx.test',
    spool,
    postmaster: 'postmaster@example.org',
    domains: { 'example.org': { nextHop: inbox.url, directory: 'staff' } },
    directory: { staff: staff(slapd) },
    redis: redis.url,
    scanners: {
      clamav: { addresses: [clamd.unix, door.address], restMs: 200, deadlineMs: 3000 },
      ...(rspamd ? { rspamd: { url: rspamd.url, deadlineMs: 3000 } } : {}),
    },
    retry: { first: '1s', longest: '5s' },
    hold: { seconds: 5 },
    limits: { exempt: ['127.0.0.0/8'], spoolFree: '4MiB', ...options.limits },
  }
  const ports: number[] = []
  const gateways: ChaosGateway[] = []
  for (const part of PARTS[options.layout]) {
    const state = path.join(folder.path, `state-${part.name}`)
    await mkdir(state, { mode: 0o755 })
    const port = await freePort()
    const http = `127.0.0.1:${await freePort()}`
    const listen = [{ address: `127.0.0.1:${port}` }]
    const own = part.processes ? { processes: part.processes } : {}
    const config: GatewayConfig = { ...around, ...own, state, listen, http: { address: http } }
    const gateway = createGateway(folder.path, config, http, part)
    stack.defer(() => gateway.kill())
    await gateway.start()
    gateways.push(gateway)
    if (part.roles?.includes('receive') ?? true) ports.push(port)
  }
  for (const gateway of gateways) await gateway.ready(60_000)
  const servers = stack.move()
  return {
    ...{ spool, ports, redis, clamd, door, slapd, rspamd, inbox, gateways },
    folder: folder.path,
    states: gateways.map(({ state }) => state),
    mounted: mount !== undefined,
    [Symbol.asyncDispose]: () => servers.disposeAsync(),
  }
}

const people = () =>
  ADDRESSES.map(address => {
    const uid = address.slice(0, address.indexOf('@'))
    return person(uid, address)
  })

/** Asked for every recipient anew, almost. */
const staff = (slapd: Slapd) => ({
  ldap: {
    urls: [slapd.url],
    base: slapd.base,
    bindDn: slapd.bindDn,
    bindPassword: slapd.bindPassword,
    deadlineMs: 2000,
  },
  positiveTtl: '1s',
  negativeTtl: '1s',
})

/** What the door does while it doesn't lie. */
export const passOn = (socketPath: string) => (client: net.Socket) => {
  const engine = net.connect(socketPath)
  engine.on('error', () => client.destroy())
  engine.once('close', () => client.destroy())
  client.once('close', () => engine.destroy())
  client.pipe(engine).pipe(client)
}
