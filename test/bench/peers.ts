// Who can be measured: us, us without holding the dot, and what others run for the same job.
import path from 'node:path'
import { startGateway } from '../support/gateway.ts'
import type { Arguments } from './arguments.ts'
import type { Backends } from './backends.ts'
import { DOMAIN } from './plan.ts'
import { postfixMissing, startPostfix } from './postfix.ts'
import type { Part } from './processes.ts'

export type Peer = {
  port: number
  /** Whether infected mail must stay outside. */
  scans: boolean
  /** What is its own; memory is theirs together. */
  parts: Part[]
  /** Its log so far, where it has one on its standard output. */
  said(): string
} & AsyncDisposable

/** `sink` is nobody: the load talks to the inside itself, which is as fast as the tool can be. */
export const PEERS = [
  'sallyport',
  'sallyport-custody',
  'sallyport-other',
  'postfix',
  'clamav-milter',
  'rspamd',
  'sink',
] as const
export type PeerName = (typeof PEERS)[number]

export const isOurs = (name: PeerName): boolean => name.startsWith('sallyport')

/** Why a peer can't be measured here; undefined where it can. */
export function missing(name: PeerName): string | undefined {
  if (name === 'postfix') return postfixMissing()
  return name === 'clamav-milter' || name === 'rspamd' ? postfixMissing(name) : undefined
}

type Settings = Pick<Arguments, 'config' | 'other'> & { env?: NodeJS.ProcessEnv }

export async function startPeer(
  name: PeerName,
  backends: Backends,
  { config, other, env }: Settings,
): Promise<Peer> {
  switch (name) {
    case 'sallyport':
      return startOurs(backends, config, env)
    case 'sallyport-custody':
      return startOurs(backends, { ...config, hold: { seconds: 0 } }, env)
    case 'sallyport-other': {
      const command = path.join(other.folder, 'gateway/sallyport')
      return startOurs(backends, { ...config, ...other.config }, env, command)
    }
    case 'postfix':
      return startPostfix(backends)
    case 'clamav-milter':
    case 'rspamd':
      return startPostfix(backends, name)
    case 'sink':
      return {
        ...{ port: backends.sinkPort, scans: false, parts: [], said: () => '' },
        async [Symbol.asyncDispose]() {},
      }
  }
}

async function startOurs(
  backends: Backends,
  overrides: Arguments['config'],
  env: NodeJS.ProcessEnv = {},
  command?: string,
): Promise<Peer> {
  const { slapd, clamd, sinkPort } = backends
  const gateway = await startGateway({
    ...(command === undefined ? {} : { command }),
    env,
    config: {
      redis: 'embedded',
      domains: { [DOMAIN]: { nextHop: `smtp://127.0.0.1:${sinkPort}`, directory: 'people' } },
      directory: { people: { ldap: { urls: [slapd.url], base: slapd.base } } },
      scanners: { clamav: { addresses: [clamd.unix] } },
      limits: { exempt: ['127.0.0.0/8'] },
      log: { level: 'warn' },
      ...overrides,
    },
  })
  const roots = [gateway.pid()]
  return {
    port: gateway.port,
    scans: true,
    parts: [
      { name: 'gateway', roots, without: 'redis-server' },
      { name: 'redis', roots, only: 'redis-server' },
    ],
    said: gateway.output,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}
