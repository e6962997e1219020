// Everything a run needs, real where it can be: redis-server, clamd behind a door that can lie, an internal server, the gateway.
import { chmod, mkdir } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import type { GatewayConfig } from '../support/gateway.ts'
import { freePort, temporaryFolder } from '../support/process.ts'
import { type Clamd, startClamd } from '../support/servers/clamd.ts'
import { type LyingEngine, startLyingEngine } from '../support/servers/lying-engine.ts'
import { startRedis, type TestRedis } from '../support/servers/redis.ts'
import { type ChaosGateway, createGateway, mountTmpfs } from './gateway.ts'
import { type Inbox, startInbox } from './inbox.ts'
import { streamOf } from './random.ts'
import type { Record } from './record.ts'

const SPOOL_MIB = 256

export type Stage = {
  folder: string
  state: string
  spool: string
  /** Whether the spool has a file system of its own. */
  mounted: boolean
  port: number
  redis: TestRedis
  clamd: Clamd
  /** The second clamd of the pool: the same one, behind a door that passes everything on until told otherwise. */
  door: LyingEngine
  inbox: Inbox
  gateway: ChaosGateway
} & AsyncDisposable

export async function setStage(record: Record, seed: number): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('chaos'))
  const state = path.join(folder.path, 'state')
  const spool = path.join(folder.path, 'spool')
  for (const each of [state, spool]) await mkdir(each, { mode: 0o755 })
  const mount = mountTmpfs(spool, SPOOL_MIB)
  if (mount) stack.defer(() => mount.unmount())
  const redis = stack.use(await startRedis())
  const clamd = stack.use(await startClamd())
  await chmod(clamd.folder, 0o755)
  const door = stack.use(await startLyingEngine(passOn(clamd.socket)))
  const inbox = stack.use(await startInbox(record, streamOf(seed, 'inbox')))
  const port = await freePort()
  const http = `127.0.0.1:${await freePort()}`
  const config: GatewayConfig = {
    hostname: 'mx.test',
    state,
    spool,
    listen: [{ address: `127.0.0.1:${port}` }],
    postmaster: 'postmaster@example.org',
    http: { address: http },
    domains: { 'example.org': { nextHop: inbox.url } },
    redis: redis.url,
    scanners: {
      clamav: { addresses: [clamd.unix, door.address], restMs: 200, deadlineMs: 3000 },
    },
    retry: { first: '1s', longest: '5s' },
    hold: { seconds: 5 },
    limits: { exempt: ['127.0.0.0/8'], spoolFree: '4MiB' },
  }
  const gateway = createGateway(folder.path, config, http)
  stack.defer(() => gateway.kill())
  await gateway.start()
  await gateway.ready(60_000)
  const servers = stack.move()
  return {
    folder: folder.path,
    state,
    spool,
    mounted: mount !== undefined,
    port,
    redis,
    clamd,
    door,
    inbox,
    gateway,
    [Symbol.asyncDispose]: () => servers.disposeAsync(),
  }
}

/** What the door does while it doesn't lie. */
export const passOn = (socketPath: string) => (client: net.Socket) => {
  const engine = net.connect(socketPath)
  engine.on('error', () => client.destroy())
  engine.once('close', () => client.destroy())
  client.once('close', () => engine.destroy())
  client.pipe(engine).pipe(client)
}
