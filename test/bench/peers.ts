// Who can be measured: us, in several layouts, and what others run for the same job.
import path from 'node:path'
import { amavisMissing } from './amavis.ts'
import type { Arguments } from './arguments.ts'
import type { Backends } from './backends.ts'
import { eximMissing, startExim } from './exim.ts'
import { startOurs, startOursApart } from './ours.ts'
import { postfixMissing, startPostfix } from './postfix.ts'
import type { Part } from './processes.ts'

export type Peer = {
  /** Where it takes mail. */
  ports: number[]
  /** Whether infected mail must stay outside. */
  scans: boolean
  /** Infected mail is acknowledged, and then goes into the quarantine or is thrown away. */
  discards?: boolean
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
  'sallyport-roles',
  'sallyport-two',
  'postfix',
  'clamav-milter',
  'rspamd',
  'amavis',
  'exim',
  'sink',
] as const
export type PeerName = (typeof PEERS)[number]

export const isOurs = (name: PeerName): boolean => name.startsWith('sallyport')

/** Why a peer can't be measured here; undefined where it can. */
export function missing(name: PeerName, { exim }: Pick<Arguments, 'exim'>): string | undefined {
  if (name === 'postfix') return postfixMissing()
  if (name === 'amavis') return postfixMissing() ?? amavisMissing()
  if (name === 'exim') return eximMissing(exim)
  return name === 'clamav-milter' || name === 'rspamd' ? postfixMissing(name) : undefined
}

type Settings = Pick<Arguments, 'config' | 'other' | 'exim'> & { env?: NodeJS.ProcessEnv }

export async function startPeer(
  name: PeerName,
  backends: Backends,
  { other, exim, ...ours }: Settings,
): Promise<Peer> {
  const { config } = ours
  switch (name) {
    case 'sallyport':
      return startOurs(backends, ours)
    case 'sallyport-custody': {
      const atOnce = { ...ours, config: { ...config, hold: { seconds: 0 } } }
      return Object.assign(await startOurs(backends, atOnce), { discards: true })
    }
    case 'sallyport-other': {
      const command = path.join(other.folder, 'gateway/sallyport')
      const settings = { ...config, ...other.config }
      const discards = JSON.stringify(settings.hold) === '{"seconds":0}'
      return Object.assign(await startOurs(backends, { ...ours, config: settings, command }), {
        discards,
      })
    }
    case 'sallyport-roles':
      return startOursApart(backends, ours, ['receive', 'scan,relay'])
    case 'sallyport-two':
      return startOursApart(backends, ours, ['receive,scan,relay', 'receive,scan,relay'])
    case 'postfix':
      return startPostfix(backends)
    case 'clamav-milter':
    case 'rspamd':
    case 'amavis':
      return startPostfix(backends, name)
    case 'exim':
      return startExim(backends, exim)
    case 'sink':
      return {
        ...{ ports: [backends.sinkPort], scans: false, parts: [], said: () => '' },
        async [Symbol.asyncDispose]() {},
      }
  }
}
