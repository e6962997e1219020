// Ourselves, to be measured: in one process tree, with a service for each role, or as two gateways on one Redis.
import { chmod, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { temporaryFolder } from '../support/process.ts'
import { startRedis } from '../support/servers/redis.ts'
import type { Arguments } from './arguments.ts'
import type { Backends } from './backends.ts'
import type { Peer } from './peers.ts'
import { DOMAIN } from './plan.ts'

export type Ours = {
  /** Replaces ours key by key. */
  config: Arguments['config']
  env?: NodeJS.ProcessEnv
  /** The program; that of this checkout by default. */
  command?: string
}

const configOf = (backends: Backends, overrides: Ours['config']) => ({
  domains: {
    [DOMAIN]: { nextHop: `smtp://127.0.0.1:${backends.sinkPort}`, directory: 'people' },
  },
  directory: { people: { ldap: { urls: [backends.slapd.url], base: backends.slapd.base } } },
  scanners: { clamav: { addresses: [backends.clamd.unix] } },
  limits: { exempt: ['127.0.0.0/8'] },
  log: { level: 'warn' as const },
  ...overrides,
})

/** All roles in one tree, Redis embedded. */
export async function startOurs(
  backends: Backends,
  { config, env = {}, command }: Ours,
): Promise<Peer> {
  const gateway = await startGateway({
    ...(command === undefined ? {} : { command }),
    env,
    config: { redis: 'embedded', ...configOf(backends, config) },
  })
  const roots = [gateway.pid()]
  return {
    ports: [gateway.port],
    scans: true,
    parts: [
      { name: 'gateway', roots, without: 'redis-server' },
      { name: 'redis', roots, only: 'redis-server' },
    ],
    said: gateway.output,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}

/** Some of `sallyport run --roles`, each a service of its own, on one Redis and one spool. */
export async function startOursApart(
  backends: Backends,
  { config, env = {} }: Ours,
  services: readonly string[],
): Promise<Peer> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('bench-apart'))
  await chmod(folder.path, 0o755)
  const spool = path.join(folder.path, 'spool')
  await mkdir(spool)
  const redis = stack.use(await startRedis({ unix: true }))
  await chmod(redis.folder, 0o755)
  const gateways: Gateway[] = []
  for (const [i, roles] of services.entries()) {
    const each = { ...configOf(backends, config), redis: redis.url, spool }
    const home = path.join(folder.path, `${i}`)
    await mkdir(home, { mode: 0o755 })
    gateways.push(stack.use(await startGateway({ env, roles, folder: home, config: each })))
  }
  const roots = gateways.map(gateway => gateway.pid())
  const open = gateways.filter((_, i) => services[i]?.includes('receive'))
  const running = stack.move()
  return {
    ports: open.map(gateway => gateway.port),
    scans: true,
    parts: [
      { name: 'gateway', roots },
      { name: 'redis', roots: [redis.pid()] },
    ],
    said: () => gateways.map(gateway => gateway.output()).join(''),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
